//! `vlclip ablate`: arms trained, measured and compared by child processes; what is finished stays.

use crate::support::{TinyRun, command, refused, sample, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A tiny run, and an ablation of it with two arms and one seed.
struct TinyAblation(TinyRun);

impl TinyAblation {
    fn new(steps: u64) -> Self {
        let run = TinyRun::new();
        let (here, sample) = (run.dir.path().display(), sample().display());
        let yaml = format!(
            "name: tiny
run: {here}/run.yaml
set: [duration.steps={steps}, eval=null]
seeds: [0]
arms:
  - {{name: crop, factors: [grounding]}}
  - {{name: raw, set: [data.columns.image=image_raw], columns: {{image: image_raw}}}}
reference: crop
evaluate:
  items: ['{sample}/test', '{sample}/val']
  k: [1, 5]
  parts: [{{tasks: [{{kind: text_to_image}}], slices: [grounding]}}, {{tasks: [{{kind: image_to_text}}]}}]
metrics: [text_to_image/mrr, image_to_text/hits@5]
reported: {{source: someone, removals: [{{factor: grounding, changes: {{mrr: -11 %}}}}]}}
out: {here}/ablation
"
        );
        std::fs::write(run.dir.path().join("ablation.yaml"), yaml).unwrap();
        Self(run)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&["ablate"]);
        command.arg(self.0.dir.path().join("ablation.yaml")).args(args);
        command.env("OMP_NUM_THREADS", "1");
        command
    }

    fn ablate(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.ablate(args);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    fn out(&self, path: &str) -> PathBuf {
        self.0.dir.path().join("ablation").join(path)
    }
}

fn written(path: &Path) -> SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn arms_are_trained_measured_and_compared_once() {
    let tiny = TinyAblation::new(4);
    let said = tiny.succeeds(&[]);
    assert!(said.contains("tiny: 2 arms x 1 seeds; 0 of 2 runs finished"), "{said}");
    assert!(said.contains("[1/2] arm crop, seed 0: training"), "{said}");
    assert!(said.contains("[1/2] arm crop, seed 0: done in "), "{said}");
    assert!(said.contains(" s; 1 left, about "), "{said}");
    assert!(said.contains("| arm "), "{said}");
    let result = std::fs::read_to_string(tiny.out("ablation.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["design"]["arms"][1]["settings"][0], "data.columns.image=image_raw");
    let mrr = &result["metrics"][0];
    let contrast = |at: usize| &mrr["contrasts"][at];
    assert_eq!(
        (contrast(0)["name"].as_str(), contrast(2)["kind"].as_str()),
        (Some("crop"), Some("difference"))
    );
    // The figures are those of the arms' own reports.
    for (at, arm) in ["crop", "raw"].iter().enumerate() {
        let report = tiny.out(&format!("reports/{arm}-seed0/part-0/report.json"));
        let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        let value = report["tasks"]["text_to_image"]["metrics"]["mrr"]["value"].as_f64().unwrap();
        let found = contrast(at)["value"].as_f64().unwrap();
        assert!((found - value).abs() < 1e-12, "{arm}: {found} {value}");
        let columns = report["protocol"]["subject"]["command"].as_str().unwrap();
        let image = if *arm == "raw" { "image=image_raw," } else { "image=image," };
        assert!(columns.contains(image), "{columns}");
    }
    assert_eq!(mrr["strata"]["grounding"][0]["label"], "given");
    assert!(mrr["verdict"]["sentence"].as_str().unwrap().contains("grounding"));
    assert_eq!(result["metrics"][1]["strata"].as_object().unwrap().len(), 0);

    // Another seed: what is there stays as it is.
    let report = tiny.out("reports/crop-seed0/part-0/report.json");
    let before = written(&report);
    let said = tiny.succeeds(&["--set", "seeds=[0, 1]"]);
    assert!(said.contains("2 of 4 runs finished"), "{said}");
    assert!(!said.contains("seed 0: training") && said.contains("seed 1: training"), "{said}");
    assert_eq!(written(&report), before);

    // The result alone.
    std::fs::remove_file(tiny.out("ablation.html")).unwrap();
    tiny.succeeds(&["--report-only"]);
    assert!(tiny.out("ablation.html").is_file());
    let message = refused(&tiny.ablate(&["--report-only", "--set", "seeds=[0, 7]"]));
    assert!(
        message.contains("2 runs are not finished: arm crop, seed 7; arm raw, seed 7"),
        "{message}"
    );

    // Other cut-offs are measured anew, without training; another run is not mixed in.
    let said = tiny.succeeds(&["--set", "evaluate.k=[1, 5, 10]"]);
    assert!(said.contains("0 of 2 runs finished"), "{said}");
    assert_ne!(written(&report), before);
    let message = refused(&tiny.ablate(&["--set", "set.0=optim.lr=0.5"]));
    assert!(
        message.contains("holds a run with another `duration`, `optim`: choose another `out`"),
        "{message}"
    );
}

#[test]
fn a_failing_arm_is_named_and_the_others_are_kept() {
    let tiny = TinyAblation::new(3);
    let wrong = ["--set", "arms.1.set.0=data.columns.image=no_such_column"];
    let message = refused(&tiny.ablate(&wrong));
    for expected in [
        "error: arm raw, seed 0: `",
        "vlclip train ",
        " --set data.columns.image=no_such_column ",
        " exited with status 1; `",
        "raw-seed0.log` ends:",
        "no_such_column",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(!tiny.out("ablation.json").exists());
    // What cannot be a run at all is said before anything is trained.
    let message = refused(&tiny.ablate(&["--set", "arms.1.set.0=optim.lrr=1"]));
    assert!(message.contains("arm `raw`, seed 0") && message.contains("`lrr`"), "{message}");
    // What the failed arm left is no run to go on with.
    let said = tiny.succeeds(&[]);
    assert!(said.contains("1 of 2 runs finished"), "{said}");
    assert!(!said.contains("arm crop, seed 0: training"), "{said}");
}

#[test]
fn an_interrupted_ablation_saves_and_goes_on() {
    let tiny = TinyAblation::new(80);
    let child = tiny.command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let metrics = tiny.out("runs/tiny-crop-seed0/metrics.jsonl");
    let deadline = Instant::now() + Duration::from_secs(300);
    while !std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains("\"step\":6,")) {
        assert!(Instant::now() < deadline, "step 6 was not reached in time");
        std::thread::sleep(Duration::from_millis(2));
    }
    let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped; the same command goes on from here"), "{said}");
    let latest = std::fs::read_to_string(tiny.out("runs/tiny-crop-seed0/latest")).unwrap();
    let step: u64 = latest.trim().strip_prefix("step-").unwrap().parse().unwrap();
    assert!((6..80).contains(&step), "{latest}");
    assert!(!tiny.out("reports/crop-seed0").exists());

    tiny.succeeds(&[]);
    let log = std::fs::read_to_string(tiny.out("logs/crop-seed0.log")).unwrap();
    assert!(log.contains(&format!("steps {step} to 80")), "{log}");
}
