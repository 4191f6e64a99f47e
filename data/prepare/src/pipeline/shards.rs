//! The shards of all splits, written from the journal; an interrupted writing goes on after the last
//! finished file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
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
/// Rows read ahead of the writer.
const AHEAD: usize = 64;

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

/// Writes every row of `plan` below `folder`, one folder per split.
///
/// # Errors
/// The disk fails, the journal has changed, or the run was asked to stop.
pub(super) fn write(
    plan: &Plan,
    journal: &Path,
    work: &Work,
    folder: &Path,
    options: &ShardOptions,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Files, PrepareError> {
    progress.to_write.store(plan.rows.len() as u64, Ordering::Relaxed);
    let mut done: Files = work.read(WRITTEN)?.unwrap_or_default();
    for (split, files) in &mut done {
        let split_folder = folder.join(split.name());
        let whole = |file: &ShardFile| {
            let size = std::fs::metadata(split_folder.join(&file.name)).map(|meta| meta.len());
            size.is_ok_and(|size| size == file.bytes)
        };
        let sound = files.iter().take_while(|file| whole(file)).count();
        files.truncate(sound);
    }
    for split in Split::ALL {
        let rows: Vec<Placed> =
            plan.rows.iter().filter(|row| row.split == split).copied().collect();
        let before = done.remove(&split).unwrap_or_default();
        let skipped: u64 = before.iter().map(|file| file.rows).sum();
        let complete = !before.is_empty() && skipped == rows.len() as u64;
        progress.written.fetch_add(skipped, Ordering::Relaxed);
        if complete {
            done.insert(split, before);
            continue;
        }
        let mut writer = ShardWriter::resume(&folder.join(split.name()), options.clone(), before)?;
        let mut finished = writer.finished().len();
        let left = rows.get(skipped as usize..).unwrap_or_default();
        each_row(left, journal, options.optional, |row| {
            if stop.load(Ordering::Relaxed) {
                return Err(PrepareError::Interrupted { done: plan.rows.len() as u64 });
            }
            writer.push(&row)?;
            progress.written.fetch_add(1, Ordering::Relaxed);
            if writer.finished().len() > finished {
                finished = writer.finished().len();
                done.insert(split, writer.finished().to_vec());
                work.write(WRITTEN, &done)?;
            }
            Ok(())
        })?;
        done.insert(split, writer.finish()?);
        work.write(WRITTEN, &done)?;
    }
    Ok(done)
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
            for row in rows {
                if send.send(shard_row(&reader, row, optional)).is_err() {
                    return; // the writer has failed and gone
                }
            }
        });
        receive.into_iter().try_for_each(|row| take(row?))
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
