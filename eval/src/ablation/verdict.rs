//! Whether the reported direction was found again, in a sentence that follows from the numbers alone.

use super::{Contrast, ContrastKind, Outcome, ReportedEffects, Verdict};

/// Judges the effects of the reported factors and their order: each must lie on one side of 0 with
/// its whole interval to count. The order is judged twice, for a factor may matter only where another
/// is: with the factors taken away one after the other, which is how such figures are reported, and by
/// their effects.
pub(super) fn verdict(metric: &str, reported: &ReportedEffects, contrasts: &[Contrast]) -> Verdict {
    let find = |kind: ContrastKind, name: &str| {
        contrasts.iter().find(|contrast| contrast.kind == kind && contrast.name == name)
    };
    let mut findings = Vec::new();
    let mut depends = false;
    let factors: Vec<&str> = reported.removals.iter().map(|removal| &*removal.factor).collect();
    for factor in &factors {
        let found = find(ContrastKind::Effect, factor);
        let words = [
            format!("{factor} helps"),
            format!("{factor} harms"),
            format!("it cannot be told whether {factor} helps"),
        ];
        findings.push(finding(found, words));
    }
    for pair in factors.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        let name = format!("{first} - {second}");
        let judge = |kind: ContrastKind, words: [String; 3]| finding(find(kind, &name), words);
        let thereafter = |costs: &str| {
            format!("{first}, taken away before {second}, costs {costs} than {second} thereafter")
        };
        let in_turn = [
            thereafter("more"),
            thereafter("less"),
            format!("it cannot be told whether {}", thereafter("more")),
        ];
        let by_effect = [
            format!("by their effects, {first} matters more than {second}"),
            format!("by their effects, {first} matters less than {second}"),
            format!("by their effects, it cannot be told whether {first} matters more"),
        ];
        let judged = [judge(ContrastKind::Sequence, in_turn), judge(ContrastKind::Lead, by_effect)];
        depends |= judged[0].0 * judged[1].0 < 0;
        findings.extend(judged);
    }
    let helps = findings.iter().take(factors.len()).all(|(side, _)| *side == 1);
    let outcome = match findings.iter().map(|(side, _)| *side).min().unwrap_or(0) {
        _ if depends && helps => Outcome::Depends,
        1 => Outcome::Reproduced,
        0 => Outcome::CannotTell,
        _ => Outcome::Contradicted,
    };
    let start = match outcome {
        Outcome::Reproduced => "The reported direction is reproduced",
        Outcome::Contradicted => "The reported direction is not reproduced",
        Outcome::Depends => "Whether the reported direction holds depends on how it is measured",
        Outcome::CannotTell => "Whether the reported direction holds here cannot be told",
    };
    let findings: Vec<String> = findings.into_iter().map(|(_, words)| words).collect();
    Verdict { outcome, sentence: format!("{start} ({metric}): {}.", findings.join("; ")) }
}

/// The side of 0 that a contrast lies on, in `words` for above, below and neither.
fn finding(found: Option<&Contrast>, words: [String; 3]) -> (i32, String) {
    let [above, below, neither] = words;
    let Some(found) = found else { return (0, format!("{neither}: no arms show it")) };
    let words = match found.side() {
        1 => above,
        -1 => below,
        _ => neither,
    };
    let interval = match found.interval {
        Some([low, high]) => format!("{low:+.4} to {high:+.4}"),
        None => "no interval".into(),
    };
    (found.side(), format!("{words} ({:+.4}, {interval})", found.value))
}
