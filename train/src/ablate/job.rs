//! One arm from one seed: its run, its reports, and whether they are those of its configuration.

use super::child::{self, Ended};
use anyhow::{Context, Result, ensure};
use checkpoints::replace_file;
use configs::ablation::{AblationConfig, Arm};
use configs::{Device, RawConfig, RunConfig};
use eval::Report;
use process::StopSignal;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sections of a run that change neither its weights nor what it is measured on.
const BESIDE: [&str; 4] = ["checkpoint", "log", "memory", "dist"];
/// What a finished job was made from, written last.
const MADE_FROM: &str = "made-from.json";

/// One arm from one seed.
pub(super) struct Job<'a> {
    pub(super) arm: &'a Arm,
    seed: u64,
    cfg: &'a AblationConfig,
    overrides: Vec<String>,
    run: RunConfig,
    parts: &'a [PathBuf],
}

impl<'a> Job<'a> {
    /// # Errors
    /// When the changes do not make a run's configuration.
    pub(super) fn new(
        cfg: &'a AblationConfig,
        arm: &'a Arm,
        seed: u64,
        parts: &'a [PathBuf],
    ) -> Result<Self> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let runs = cfg.out.join("runs");
        let runs = runs.to_str().with_context(|| format!("`{}` is not UTF-8", runs.display()))?;
        let name = format!("{}-{}-seed{seed}", cfg.name, arm.name);
        let mut overrides: Vec<String> = cfg.set.iter().chain(&arm.set).cloned().collect();
        overrides.push(format!("name={}", quoted(&name)));
        overrides.push(format!("seed={seed}"));
        overrides.push(format!("checkpoint.dir={}", quoted(runs)));
        let run = RunConfig::load(&cfg.run, &overrides)?;
        Ok(Self { arm, seed, cfg, overrides, run, parts })
    }

    /// `arm crop-refined, seed 0`.
    pub(super) fn title(&self) -> String {
        format!("arm {}, seed {}", self.arm.name, self.seed)
    }

    /// Whether its reports are there, made from this configuration.
    ///
    /// # Errors
    /// When its run's folder holds another run.
    pub(super) fn is_finished(&self) -> Result<bool> {
        self.check_folder()?;
        let stated = std::fs::read(self.reports().join(MADE_FROM)).ok();
        let stated: Option<Value> = stated.and_then(|text| serde_json::from_slice(&text).ok());
        Ok(stated == Some(self.made_from()?) && self.report().is_ok())
    }

    /// Trains, or goes on training, then measures.
    pub(super) fn run(
        &self,
        program: &Path,
        stop: &StopSignal,
        say: &dyn Fn(&str),
    ) -> Result<Ended> {
        let logs = self.cfg.out.join("logs");
        std::fs::create_dir_all(&logs)
            .with_context(|| format!("cannot make `{}`", logs.display()))?;
        let log = logs.join(format!("{}-seed{}.log", self.arm.name, self.seed));
        say("training");
        if child::run(self.training(program), &log, stop)? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        say("measuring");
        for part in 0..self.parts.len() {
            if child::run(self.measuring(program, part), &log, stop)? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
        let text = serde_json::to_string_pretty(&self.made_from()?)? + "\n";
        replace_file(&self.reports().join(MADE_FROM), text.as_bytes())?;
        Ok(Ended::Well)
    }

    /// Its report: the tasks of all parts.
    pub(super) fn report(&self) -> Result<Report> {
        let mut whole: Option<Report> = None;
        for part in 0..self.parts.len() {
            let file = self.part(part).join("report.json");
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read `{}`", file.display()))?;
            let report =
                Report::from_json(&text).with_context(|| format!("`{}`", file.display()))?;
            match &mut whole {
                Some(whole) => whole.tasks.extend(report.tasks),
                None => whole = Some(report),
            }
        }
        whole.context("an ablation measures something")
    }

    fn training(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("train").arg(&self.cfg.run);
        self.overrides.iter().for_each(|text| _ = command.args(["--set", text]));
        command
    }

    fn measuring(&self, program: &Path, part: usize) -> Command {
        let mut command = Command::new(program);
        command.arg("eval").args(self.measuring_args()).arg("--tasks").arg(&self.parts[part]);
        // The last checkpoint: none is chosen by what another arm would be chosen by otherwise.
        command.arg("--model").arg(self.folder().join("latest"));
        command.arg("--out").arg(self.part(part));
        command
    }

    /// The arguments that decide what is measured, but for the tasks.
    fn measuring_args(&self) -> Vec<String> {
        let section = &self.cfg.evaluate;
        let own = &self.arm.columns;
        let image = own.image.as_ref().unwrap_or(&section.columns.image);
        let captions = own.captions.as_ref().unwrap_or(&section.columns.captions);
        let product = section.columns.product_id.as_deref().unwrap_or_default();
        let ks: Vec<String> = section.k.iter().map(usize::to_string).collect();
        let device = match self.run.device {
            Device::Auto => "auto",
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        };
        let mut args = vec!["--items".to_owned()];
        args.extend(section.items.iter().cloned());
        for (flag, value) in [
            ("--columns", format!("image={image},captions={captions},product_id={product}")),
            ("--k", ks.join(",")),
            ("--device", device.to_owned()),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        args
    }

    fn folder(&self) -> PathBuf {
        self.run.checkpoint.dir.join(&self.run.name)
    }

    fn reports(&self) -> PathBuf {
        self.cfg.out.join("reports").join(format!("{}-seed{}", self.arm.name, self.seed))
    }

    fn part(&self, index: usize) -> PathBuf {
        self.reports().join(format!("part-{index}"))
    }

    fn made_from(&self) -> Result<Value> {
        Ok(json!({
            "run": essence(&self.run)?,
            "evaluation": self.measuring_args(),
            "parts": serde_json::to_value(&self.cfg.evaluate.parts)?,
        }))
    }

    /// Refuses a folder of another run: the trainer would go on with it where that is possible, and
    /// its weights would be those of neither.
    fn check_folder(&self) -> Result<()> {
        let stored = self.folder().join("config.yaml");
        // Without a checkpoint there is nothing to go on with.
        if !stored.is_file() || !self.folder().join("latest").is_file() {
            return Ok(());
        }
        let before = RunConfig::load(&stored, &[])
            .with_context(|| format!("the stored configuration `{}`", stored.display()))?;
        let (before, now) = (essence(&before)?, essence(&self.run)?);
        let changed: Vec<String> = now
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, _)| format!("`{key}`"))
            .collect();
        ensure!(
            changed.is_empty(),
            "`{}` holds a run with another {}: choose another `out` for this ablation, or move \
             that folder away",
            self.folder().display(),
            changed.join(", ")
        );
        Ok(())
    }
}

/// What a run's weights follow from.
fn essence(run: &RawConfig) -> Result<Map<String, Value>> {
    let Value::Object(mut sections) = serde_json::to_value(run)? else { return Ok(Map::new()) };
    BESIDE.iter().for_each(|section| _ = sections.remove(*section));
    Ok(sections)
}
