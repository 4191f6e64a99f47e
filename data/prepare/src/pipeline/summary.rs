//! What a run came to, as a table for people.

use std::fmt::{self, Write};

use super::Outcome;
use crate::Split;
use crate::refine::Spent;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.index.counts;
        let share = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
        let mut table = String::new();
        let mut line = |name: &str, number: u64, of: u64| {
            let _ = writeln!(table, "  {name:<34} {number:>10} {:>6.1} %", share(number, of));
        };
        line("products", counts.products, counts.products);
        line("rows", counts.rows, counts.products);
        for (cause, &number) in &counts.rejected {
            line(&format!("rejected: {cause}"), number, counts.products);
        }
        for (grounding, &number) in &counts.grounding {
            line(&format!("crop: {grounding}"), number, counts.rows);
        }
        for (stop, &number) in &counts.caption_stop {
            line(&format!("caption: {stop}"), number, counts.rows);
        }
        if counts.caption_rounds.len() > 1 {
            for (rounds, &number) in &counts.caption_rounds {
                line(&format!("caption rounds: {rounds}"), number, counts.rows);
            }
        }
        if counts.groups > 0 {
            line(
                &format!("in {} groups of duplicates", counts.groups),
                counts.grouped,
                counts.rows,
            );
        }
        for split in Split::ALL {
            line(&format!("split: {}", split.name()), self.index.rows(split), counts.rows);
        }
        f.write_str(&table)?;
        let files: usize = self.index.splits.values().map(Vec::len).sum();
        write!(f, "  {files} shards, {:.1} MB", self.index.bytes() as f64 / 1e6)?;
        if self.spent != Spent::default() {
            write!(f, "\n  {}", self.spent)?;
        }
        if self.damaged_answers > 0 {
            let lines = self.damaged_answers;
            write!(f, "\n  {lines} answers were damaged on disk and had to be asked for again")?;
        }
        Ok(())
    }
}
