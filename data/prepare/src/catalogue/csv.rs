//! CSV and TSV: rows cut out of the file with their lines, and taken apart by `csv-core`.
//!
//! The cut is made here because a reader that only yields fields takes the rest of a file for one
//! field where a quote is missing, and cannot say in which line. After a fault reading goes on in
//! the line below the one that the row began in.

use std::io;

use csv_core::ReadRecordResult;

use super::cell::Cell;
use super::encoding;
use super::files::CatalogueFile;
use super::plan::Plan;
use super::reader::Row;
use super::window::{MAX_ROW, Window};
use crate::{Cause, Fault, PrepareError};

/// Rows of a CSV or TSV file.
pub(super) struct CsvRows {
    pub(super) window: Window,
    delimiter: u8,
    quotes: bool,
    fields: Fields,
    /// Number of columns.
    width: usize,
    /// The file's column of each column of the plan.
    columns: Vec<usize>,
    header_line: u64,
}

/// How far a row reaches.
enum Cut {
    /// Length without and with its end, and the line ends in it.
    Whole { content: usize, length: usize, lines: u64 },
    /// It has no end, or none that can be trusted.
    Faulty(Fault),
    /// Nothing is left.
    Nothing,
}

impl CsvRows {
    /// Reads the line of column names.
    pub(super) fn open(
        file: &CatalogueFile,
        window: Window,
        (delimiter, quotes): (u8, bool),
        plan: &Plan,
    ) -> Result<Self, PrepareError> {
        let mut rows = Self {
            window,
            delimiter,
            quotes,
            fields: Fields::new(delimiter, quotes),
            width: 0,
            columns: Vec::new(),
            header_line: 1,
        };
        rows.header(file, plan)?;
        Ok(rows)
    }

    fn header(&mut self, file: &CatalogueFile, plan: &Plan) -> Result<(), PrepareError> {
        let io = |error: io::Error| file.wrong(error.to_string());
        self.window.at(encoding::BOM.len() - 1).map_err(io)?;
        if self.window.bytes().starts_with(encoding::BOM) {
            self.window.pass(encoding::BOM.len(), 0);
        }
        let header = self.next(file.path()).map_err(io)?;
        let Some((line, header)) = header else {
            return Err(file.wrong("the file is empty: expected a line of column names"));
        };
        let names = header.map_err(|fault| {
            file.wrong(format!("the line of column names (line {line}): {fault}"))
        })?;
        let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
        (self.width, self.header_line) = (names.len(), line);
        let hint = self.other_delimiter(&names);
        for (index, column) in plan.columns.iter().enumerate() {
            let mut at = (0..names.len()).filter(|at| names[*at] == column.name);
            let Some(found) = at.next() else {
                return Err(plan.missing(index, file.path(), &names, &hint));
            };
            if let Some(second) = at.next() {
                return Err(file.wrong(format!(
                    "the columns {} and {} are both called `{}` ({}): names must differ",
                    found + 1,
                    second + 1,
                    column.name,
                    column.role
                )));
            }
            self.columns.push(found);
        }
        Ok(())
    }

    /// A hint where the whole line is one name that holds other delimiters.
    fn other_delimiter(&self, names: &[&str]) -> String {
        let [only] = names else { return String::new() };
        let mut others = [',', ';', '\t', '|'].into_iter();
        let likely = others.find(|c| *c as u8 != self.delimiter && only.contains(*c));
        likely.map_or_else(String::new, |c| {
            let found = char::from(self.delimiter);
            format!(
                "; the fields are not parted by {found:?}: is it {c:?}? Then set \
                 catalogue.delimiter to {c:?}"
            )
        })
    }

    /// The next row that has anything in it.
    pub(super) fn row(&mut self, file: &CatalogueFile) -> Result<Option<Row>, PrepareError> {
        let next = self.next(file.path()).map_err(|error| {
            file.wrong(format!("cannot be read on from line {}: {error}", self.window.line))
        })?;
        let Some((line, fields)) = next else { return Ok(None) };
        let cells = fields.and_then(|fields| {
            if fields.len() != self.width {
                let delimiter = char::from(self.delimiter);
                return Err(Fault::new(
                    Cause::FieldCount,
                    format!(
                        "expected {} fields as in the column names (line {}), found {}; a field \
                         that holds {delimiter:?} needs quotes around it",
                        self.width,
                        self.header_line,
                        fields.len()
                    ),
                ));
            }
            let cell = |at: &usize| match fields[*at].as_str() {
                "" => Cell::Null,
                text => Cell::Text(text.to_owned()),
            };
            Ok(self.columns.iter().map(cell).collect())
        });
        Ok(Some(Row { line: Some(line), cells }))
    }

    /// The fields of the next row that is not blank, and the line that it begins in.
    #[expect(clippy::type_complexity, reason = "a fault of the row beside one of the disk")]
    fn next(
        &mut self,
        file: &std::path::Path,
    ) -> io::Result<Option<(u64, Result<Vec<String>, Fault>)>> {
        loop {
            let line = self.window.line;
            match self.cut()? {
                Cut::Nothing => return Ok(None),
                Cut::Faulty(fault) => {
                    self.window.pass_line()?;
                    return Ok(Some((line, Err(fault))));
                }
                Cut::Whole { content, length, lines } => {
                    let bytes = &self.window.bytes()[..content];
                    let blank = bytes.is_empty();
                    let fields = self.fields.of(bytes).map_err(|_| {
                        Fault::new(Cause::BadEncoding, encoding::invalid(bytes, line, file))
                    });
                    self.window.pass(length, lines);
                    if !blank {
                        return Ok(Some((line, fields)));
                    }
                }
            }
        }
    }

    /// Finds the end of the row that begins at the window's first byte.
    fn cut(&mut self) -> io::Result<Cut> {
        /// Where in a row a byte stands.
        enum At {
            FieldStart,
            Plain,
            Quoted,
            /// Behind a quote that ends the field, unless another follows.
            Quote,
        }
        let mut at = At::FieldStart;
        let (mut field, mut opened, mut lines) = (1, self.window.line, 0);
        let mut index = 0;
        loop {
            if index == self.window.bytes().len() && !self.window.more()? {
                return Ok(match at {
                    _ if index == 0 => Cut::Nothing,
                    At::Quoted => Cut::Faulty(unclosed(field, opened, "the end of the file")),
                    _ => Cut::Whole { content: index, length: index, lines },
                });
            }
            if index > MAX_ROW {
                let limit = format!("{} MiB", MAX_ROW >> 20);
                return Ok(Cut::Faulty(match at {
                    At::Quoted => unclosed(field, opened, &format!("{limit} later")),
                    _ => Fault::new(Cause::TooLong, format!("the row is longer than {limit}")),
                }));
            }
            let byte = self.window.bytes()[index];
            let ends = matches!(byte, b'\n' | b'\r') && !matches!(at, At::Quoted);
            if ends {
                let windows = byte == b'\r' && self.window.at(index + 1)? == Some(b'\n');
                let length = index + 1 + usize::from(windows);
                return Ok(Cut::Whole { content: index, length, lines: lines + 1 });
            }
            at = match at {
                At::FieldStart if byte == b'"' && self.quotes => {
                    opened = self.window.line + lines;
                    At::Quoted
                }
                At::FieldStart | At::Plain | At::Quote if byte == self.delimiter => {
                    field += 1;
                    At::FieldStart
                }
                At::FieldStart | At::Plain => At::Plain,
                At::Quoted if byte == b'"' => At::Quote,
                At::Quoted => {
                    lines += u64::from(byte == b'\n');
                    At::Quoted
                }
                At::Quote if byte == b'"' => At::Quoted,
                At::Quote => {
                    let here = self.window.line + lines;
                    return Ok(Cut::Faulty(Fault::new(
                        Cause::BadQuoting,
                        format!(
                            "field {field} is quoted from line {opened} on, and behind its closing \
                             quote in line {here} stands more text; write quotes within a quoted \
                             field twice (\"\"), or set catalogue.quotes to false"
                        ),
                    )));
                }
            };
            index += 1;
        }
    }
}

fn unclosed(field: usize, opened: u64, end: &str) -> Fault {
    Fault::new(
        Cause::BadQuoting,
        format!(
            "the quote that opens field {field} in line {opened} is not closed by {end}; close it, \
             or set catalogue.quotes to false"
        ),
    )
}

/// Takes rows apart.
struct Fields {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    fn new(delimiter: u8, quotes: bool) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).quoting(quotes).build();
        Self { reader, text: vec![0; 4096], ends: vec![0; 64] }
    }

    /// The fields of a row without its end.
    fn of(&mut self, row: &[u8]) -> Result<Vec<String>, std::str::Utf8Error> {
        std::str::from_utf8(row)?;
        self.reader.reset();
        let (mut input, mut written, mut num_ends) = (row, 0, 0);
        loop {
            let (result, read, wrote, ended) = self.reader.read_record(
                input,
                &mut self.text[written..],
                &mut self.ends[num_ends..],
            );
            input = &input[read..];
            written += wrote;
            num_ends += ended;
            match result {
                // Called again with nothing left it takes the end of the input for the row's.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        let mut start = 0;
        let mut fields = Vec::with_capacity(num_ends);
        for end in &self.ends[..num_ends] {
            fields.push(std::str::from_utf8(&self.text[start..*end])?.to_owned());
            start = *end;
        }
        Ok(fields)
    }
}
