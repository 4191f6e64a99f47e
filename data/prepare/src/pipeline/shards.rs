//! The shards of all splits, written from the journal; an interrupted writing goes on after the last
//! finished file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use configs::prepare::PrepareConfig;

use super::assemble::{Placed, Plan, group_name};
use super::entry::RowMeta;
use super::journal::JournalReader;
use super::progress::Progress;
use super::work::Work;
use crate::{OptionalColumns, PrepareError, ShardFile, ShardOptions, ShardRow, ShardWriter, Split};

/// Finished files by split, kept while shards are being written.
const WRITTEN: &str = "written.json";
/// Rows handed to the writer at once, for each time it is woken costs as much as a row; and how often
/// so many are read ahead of it.
const HANDED: usize = 32;
const AHEAD: usize = 2;

type Files = BTreeMap<Split, Vec<ShardFile>>;

/// How rows are laid out.
pub(super) fn options(cfg: &PrepareConfig, metadata: Vec<(String, String)>) -> ShardOptions {
    let output = &cfg.output;
    let bytes = |mb: f64| (mb * 1e6) as u64; // checked: above 0
    let optional = OptionalColumns {
        group: true,
        image_raw: output.image_raw,
        attributes: output.attributes,
        weight: cfg.catalogue.columns.weight.is_some(),
    };
    ShardOptions {
        optional,
        row_group_rows: output.row_group_rows,
        row_group_bytes: usize::try_from(bytes(output.row_group_mb)).unwrap_or(usize::MAX),
        file_bytes: bytes(output.file_mb),
        metadata,
    }
}

/// What the writing of all splits shares.
pub(super) struct Writing<'a> {
    pub journal: &'a Path,
    pub work: &'a Work,
    /// Where the folders of the splits go.
    pub folder: &'a Path,
    pub options: &'a ShardOptions,
    pub progress: &'a Progress,
    pub stop: &'a AtomicBool,
}

impl Writing<'_> {
    /// Writes every row of `plan`, all splits side by side.
    ///
    /// # Errors
    /// The disk fails, the journal has changed, or the run was asked to stop.
    pub fn run(&self, plan: &Plan) -> Result<Files, PrepareError> {
        self.progress.to_write.store(plan.rows.len() as u64, Ordering::Relaxed);
        let mut before: Files = self.work.read(WRITTEN)?.unwrap_or_default();
        for (split, files) in &mut before {
            let folder = self.folder.join(split.name());
            let whole = |file: &ShardFile| {
                let size = std::fs::metadata(folder.join(&file.name)).map(|meta| meta.len());
                size.is_ok_and(|size| size == file.bytes)
            };
            files.truncate(files.iter().take_while(|file| whole(file)).count());
        }
        let written = Mutex::new(before.clone());
        let outcomes: Vec<Result<(), PrepareError>> = thread::scope(|scope| {
            let splits = Split::ALL.map(|split| {
                let (before, written) = (before.remove(&split).unwrap_or_default(), &written);
                scope.spawn(move || self.split(plan, split, before, written))
            });
            let ended = splits.into_iter().map(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(_) => Err(PrepareError::Internal("writing shards panicked".to_owned())),
            });
            ended.collect()
        });
        outcomes.into_iter().collect::<Result<(), _>>()?;
        Ok(written.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the rows of a split that are not in the files of `before`.
    fn split(
        &self,
        plan: &Plan,
        split: Split,
        before: Vec<ShardFile>,
        written: &Mutex<Files>,
    ) -> Result<(), PrepareError> {
        let rows: Vec<Placed> =
            plan.rows.iter().filter(|row| row.split == split).copied().collect();
        let skipped: u64 = before.iter().map(|file| file.rows).sum();
        self.progress.written.fetch_add(skipped, Ordering::Relaxed);
        if !before.is_empty() && skipped == rows.len() as u64 {
            return Ok(());
        }
        let keep = |files: &[ShardFile]| {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.insert(split, files.to_vec());
            self.work.write(WRITTEN, &*written)
        };
        let folder = self.folder.join(split.name());
        let mut writer = ShardWriter::resume(&folder, self.options.clone(), before)?;
        let mut finished = writer.finished().len();
        let left = rows.get(skipped as usize..).unwrap_or_default();
        each_row(left, self.journal, self.options.optional, |row| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(PrepareError::Interrupted { done: plan.rows.len() as u64 });
            }
            writer.push(&row)?;
            self.progress.written.fetch_add(1, Ordering::Relaxed);
            if writer.finished().len() > finished {
                finished = writer.finished().len();
                keep(writer.finished())?;
            }
            Ok(())
        })?;
        keep(&writer.finish()?)
    }
}

/// Reads rows from the journal on a thread of its own and hands them to `take` in order.
fn each_row(
    rows: &[Placed],
    journal: &Path,
    optional: OptionalColumns,
    mut take: impl FnMut(ShardRow) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let reader = JournalReader::open(journal)?;
    thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD);
        scope.spawn(move || {
            for rows in rows.chunks(HANDED) {
                let rows: Vec<_> =
                    rows.iter().map(|row| shard_row(&reader, row, optional)).collect();
                if send.send(rows).is_err() {
                    return; // the writer has failed and gone
                }
            }
        });
        receive.into_iter().flatten().try_for_each(|row| take(row?))
    })
}

fn shard_row(
    journal: &JournalReader,
    placed: &Placed,
    optional: OptionalColumns,
) -> Result<ShardRow, PrepareError> {
    let (meta, crop, raw) = journal.row(placed.place)?;
    let group = if placed.first == placed.place {
        group_name(&meta).to_owned()
    } else {
        group_name(&journal.meta(placed.first)?).to_owned()
    };
    let RowMeta { attributes, weight, .. } = &meta;
    Ok(ShardRow {
        group: Some(group),
        image: crop,
        image_raw: optional.image_raw.then_some(raw),
        attributes: if optional.attributes { attributes.clone() } else { Vec::new() },
        weight: optional.weight.then(|| weight.unwrap_or(1.0)),
        product_id: meta.product_id,
        captions: meta.captions,
        caption_raw: meta.caption_raw,
        caption_refined: meta.caption_refined,
        product_type: meta.product_type,
        grounding: meta.grounding,
        box_px: meta.box_px,
        box_score: meta.box_score,
        caption_rounds: meta.caption_rounds.cast_signed(),
        caption_stop: meta.caption_stop,
        caption_model: meta.caption_model,
    })
}
