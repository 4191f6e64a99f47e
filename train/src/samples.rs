//! Which rows each step trained on: `samples.jsonl`, one line per step, where `log.samples` asks
//! for it.

use crate::dist::Group;
use anyhow::{Context, Result};
use data::Batch;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The rows of a global batch, in its order.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The epoch, from 0.
    epoch: u64,
    /// Paths or URLs, each once.
    shards: Vec<String>,
    /// Index in `shards`, row in the shard from 0, product id where there is one.
    rows: Vec<(usize, u64, Option<String>)>,
}

/// A rank's part of them.
#[derive(Serialize, Deserialize)]
struct Part {
    numbers: Vec<u64>,
    samples: Samples,
}

impl Samples {
    fn new(epoch: u64, rows: impl IntoIterator<Item = (Arc<str>, u64, Option<String>)>) -> Self {
        let mut samples = Self { epoch, ..Self::default() };
        let mut indices = HashMap::new();
        for (shard, row, product) in rows {
            let index = *indices.entry(shard).or_insert_with_key(|shard| {
                samples.shards.push(shard.to_string());
                samples.shards.len() - 1
            });
            samples.rows.push((index, row, product));
        }
        samples
    }
}

/// The rows of the batches of all ranks, in an order that does not depend on their number. On the
/// first rank only. A collective: every rank must call it.
///
/// # Errors
/// When another rank cannot go on.
pub fn of_all(batch: &Batch, group: &Group) -> Result<Option<Samples>> {
    let mine = batch.samples.iter().map(|id| {
        let shard = id.shard.to_string_lossy();
        (Arc::from(shard), id.row, id.product.as_deref().map(str::to_owned))
    });
    let part = Part { numbers: batch.numbers.clone(), samples: Samples::new(batch.epoch, mine) };
    let mut numbered = Vec::new();
    for bytes in group.gather_bytes(serde_json::to_vec(&part)?)? {
        let Part { numbers, samples } = serde_json::from_slice(&bytes)?;
        let shards: Vec<Arc<str>> = samples.shards.into_iter().map(Arc::from).collect();
        for (number, (shard, row, product)) in numbers.into_iter().zip(samples.rows) {
            let shard = shards.get(shard).context("a rank named a shard that it does not list")?;
            numbered.push((number, (shard.clone(), row, product)));
        }
    }
    numbered.sort_by_key(|(number, _)| *number);
    let rows = numbered.into_iter().map(|(_, row)| row);
    Ok(group.leads().then(|| Samples::new(batch.epoch, rows)))
}

/// The file.
#[derive(Debug)]
pub struct SampleLog {
    path: PathBuf,
    file: Option<File>,
}

/// A line of it.
#[derive(Serialize)]
struct Record<'a> {
    step: u64,
    #[serde(flatten)]
    samples: &'a Samples,
}

impl SampleLog {
    /// Cuts `folder/samples.jsonl`, if there is one, to the first `step` steps (a run that goes on
    /// repeats the others), and goes on behind them where it is `wanted`.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(folder: &Path, step: u64, wanted: bool) -> Result<Self> {
        let path = folder.join("samples.jsonl");
        let cannot = || format!("cannot write `{}`", path.display());
        let mut options = OpenOptions::new();
        let file = match options.read(true).append(true).create(wanted).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !wanted => None,
            file => Some(file.with_context(cannot)?),
        };
        if let Some(file) = &file {
            let kept = len_up_to(BufReader::new(file), step)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            file.set_len(kept).with_context(cannot)?;
        }
        Ok(Self { path, file: file.filter(|_| wanted) })
    }

    /// Records what step `step` trained on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn step(&mut self, step: u64, samples: &Samples) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let line = serde_json::to_string(&Record { step, samples })? + "\n";
        // In one piece, so that a killed run leaves whole lines.
        file.write_all(line.as_bytes())
            .with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

/// Bytes of the whole lines of the first `step` steps. The file may be larger than memory.
fn len_up_to(mut file: impl BufRead, step: u64) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Step {
        step: u64,
    }
    let (mut kept, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let len = file.read_until(b'\n', &mut line)? as u64;
        let whole = line.ends_with(b"\n");
        let record = serde_json::from_slice::<Step>(&line);
        if !(whole && record.is_ok_and(|record| record.step <= step)) {
            return Ok(kept);
        }
        kept += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rows: &[(&str, u64)]) -> Samples {
        Samples::new(0, rows.iter().map(|&(shard, row)| (shard.into(), row, None)))
    }

    #[test]
    fn a_run_that_goes_on_repeats_what_came_after_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let read = || std::fs::read_to_string(dir.path().join("samples.jsonl")).unwrap();
        let mut log = SampleLog::open(dir.path(), 0, true).unwrap();
        for step in 1..=3 {
            log.step(step, &samples(&[("a", step), ("b", 7), ("a", 9)])).unwrap();
        }
        let three = read();
        let first =
            r#"{"step":1,"epoch":0,"shards":["a","b"],"rows":[[0,1,null],[1,7,null],[0,9,null]]}"#;
        assert_eq!(three.lines().next(), Some(first));

        // Torn in the third line; the run stands at step 2, then at step 1.
        std::fs::write(dir.path().join("samples.jsonl"), &three[..three.len() - 5]).unwrap();
        SampleLog::open(dir.path(), 3, true).unwrap();
        assert_eq!(read().lines().count(), 2);
        let mut log = SampleLog::open(dir.path(), 1, true).unwrap();
        log.step(2, &samples(&[("c", 0)])).unwrap();
        let second = r#"{"step":2,"epoch":0,"shards":["c"],"rows":[[0,0,null]]}"#;
        assert_eq!(read(), format!("{first}\n{second}\n"));

        // Not wanted any more: what it says stays true.
        SampleLog::open(dir.path(), 1, false).unwrap().step(2, &samples(&[])).unwrap();
        assert_eq!(read(), format!("{first}\n"));
    }

    #[test]
    fn there_is_no_file_where_none_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        SampleLog::open(dir.path(), 5, false).unwrap().step(6, &samples(&[])).unwrap();
        assert!(!dir.path().join("samples.jsonl").exists());
    }
}
