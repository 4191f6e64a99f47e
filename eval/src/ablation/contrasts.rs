//! Which weighted sums of arms say something: each arm, its difference to the reference, what each
//! factor adds, and what is lost along the reported removals.

use super::{ContrastKind, Design};
use std::collections::BTreeSet;

/// A weighted sum, not yet measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sum {
    pub(super) kind: ContrastKind,
    pub(super) name: String,
    pub(super) weights: Vec<f64>,
}

/// All that the design allows for, in the order of reports.
pub(super) fn contrasts(design: &Design) -> Vec<Sum> {
    let arms = &design.arms;
    let named = |kind: ContrastKind, name: &str, terms: &[(usize, f64)]| {
        let mut weights = vec![0.0; arms.len()];
        terms.iter().for_each(|(arm, weight)| weights[*arm] += weight);
        Sum { kind, name: name.to_owned(), weights }
    };
    let mut all: Vec<Sum> = (0..arms.len())
        .map(|arm| named(ContrastKind::Arm, &arms[arm].name, &[(arm, 1.0)]))
        .collect();
    if let Some(reference) = arms.iter().position(|arm| arm.name == design.reference) {
        all.extend((0..arms.len()).filter(|arm| *arm != reference).map(|arm| {
            let terms = [(arm, 1.0), (reference, -1.0)];
            named(ContrastKind::Difference, &arms[arm].name, &terms)
        }));
    }
    let crossing = Crossing::of(design);
    let effect = |factor: &str| crossing.effect(&[factor]);
    for factor in crossing.factors() {
        if let Some(terms) = effect(factor) {
            all.push(named(ContrastKind::Effect, factor, &terms));
        }
    }
    for (i, a) in crossing.factors().iter().enumerate() {
        for b in &crossing.factors()[..i] {
            if let Some(terms) = crossing.effect(&[a, b]) {
                all.push(named(ContrastKind::Interaction, &format!("{b} x {a}"), &terms));
            }
        }
    }
    let Some(reported) = &design.reported else { return all };
    let order: Vec<&str> = reported.removals.iter().map(|removal| &*removal.factor).collect();
    for pair in order.windows(2) {
        let (Some(first), Some(second)) = (effect(pair[0]), effect(pair[1])) else { continue };
        let terms: Vec<(usize, f64)> =
            first.into_iter().chain(second.iter().map(|(arm, weight)| (*arm, -weight))).collect();
        let name = format!("{} - {}", pair[0], pair[1]);
        all.push(named(ContrastKind::Lead, &name, &terms));
    }
    let removals = crossing.removals(&order);
    for (factor, [before, after]) in &removals {
        let terms = [(*after, 1.0), (*before, -1.0)];
        all.push(named(ContrastKind::Removal, factor, &terms));
    }
    for pair in removals.windows(2) {
        let [(first, [a, b]), (second, [c, d])] = pair else { continue };
        let terms = [(*a, 1.0), (*b, -1.0), (*c, -1.0), (*d, 1.0)];
        all.push(named(ContrastKind::Sequence, &format!("{first} - {second}"), &terms));
    }
    all
}

/// The arms by their factors.
struct Crossing<'a> {
    arms: Vec<BTreeSet<&'a str>>,
    factors: Vec<&'a str>,
}

impl<'a> Crossing<'a> {
    fn of(design: &'a Design) -> Self {
        let mut factors: Vec<&str> = Vec::new();
        // In the order in which they were reported, then in that of the arms.
        let reported = design.reported.iter().flat_map(|reported| &reported.removals);
        let listed = reported.map(|removal| &removal.factor);
        for factor in listed.chain(design.arms.iter().flat_map(|arm| &arm.factors)) {
            if !factors.contains(&factor.as_str()) {
                factors.push(factor);
            }
        }
        let arms = &design.arms;
        let arms = arms.iter().map(|arm| arm.factors.iter().map(String::as_str).collect());
        Self { arms: arms.collect(), factors }
    }

    fn factors(&self) -> &[&'a str] {
        &self.factors
    }

    fn arm(&self, factors: &BTreeSet<&str>) -> Option<usize> {
        self.arms.iter().position(|arm| arm == factors)
    }

    /// Arms and weights of what `wanted` add (one factor) or add to one another (two): for all
    /// other factors alike, with them less without them, averaged over every choice of the others
    /// that has all its arms. `None` where no choice has.
    fn effect(&self, wanted: &[&str]) -> Option<Vec<(usize, f64)>> {
        let others: BTreeSet<BTreeSet<&str>> = self
            .arms
            .iter()
            .map(|arm| arm.iter().copied().filter(|factor| !wanted.contains(factor)).collect())
            .collect();
        let corners = 1usize << wanted.len();
        let of_choice = |others: &BTreeSet<&str>| -> Option<Vec<(usize, f64)>> {
            let corner = |corner: usize| {
                let there = |i: &usize| corner >> i & 1 == 1;
                let present = (0..wanted.len()).filter(there);
                let factors = others.iter().copied().chain(present.clone().map(|i| wanted[i]));
                let absent = wanted.len() - present.count();
                let sign = if absent.is_multiple_of(2) { 1.0 } else { -1.0 };
                Some((self.arm(&factors.collect())?, sign))
            };
            (0..corners).map(corner).collect()
        };
        let found: Vec<_> = others.iter().filter_map(of_choice).collect();
        let share = 1.0 / found.len() as f64;
        let terms: Vec<(usize, f64)> =
            found.into_iter().flatten().map(|(arm, sign)| (arm, sign * share)).collect();
        (!terms.is_empty()).then_some(terms)
    }

    /// Taking the factors of `order` away one after the other, from the arm that has all factors:
    /// the arms before and after. Ends where an arm is missing.
    fn removals<'b>(&self, order: &[&'b str]) -> Vec<(&'b str, [usize; 2])> {
        let mut left: BTreeSet<&str> = self.factors.iter().copied().collect();
        let mut steps = Vec::new();
        let Some(mut before) = self.arm(&left) else { return steps };
        for factor in order {
            left.remove(factor);
            let Some(after) = self.arm(&left) else { break };
            steps.push((*factor, [before, after]));
            before = after;
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablation::{ArmDesign, ReportedEffects, ReportedRemoval};
    use std::collections::BTreeMap;

    fn design(arms: &[(&str, &[&str])], order: &[&str]) -> Design {
        let removal =
            |factor: &&str| ReportedRemoval { factor: (*factor).into(), changes: BTreeMap::new() };
        Design {
            arms: arms
                .iter()
                .map(|(name, factors)| ArmDesign {
                    name: (*name).into(),
                    factors: factors.iter().map(|factor| (*factor).into()).collect(),
                    settings: Vec::new(),
                })
                .collect(),
            reference: arms[0].0.into(),
            reported: (!order.is_empty()).then(|| ReportedEffects {
                source: "someone".into(),
                removals: order.iter().map(removal).collect(),
            }),
            ..Design::default()
        }
    }

    fn weights(sums: &[Sum], kind: ContrastKind, name: &str) -> Option<Vec<f64>> {
        let found = sums.iter().find(|sum| sum.kind == kind && sum.name == name)?;
        Some(found.weights.clone())
    }

    #[test]
    fn a_full_crossing_has_main_effects_interaction_and_removals() {
        let arms: [(&str, &[&str]); 4] =
            [("full", &["g", "r"]), ("no-g", &["r"]), ("no-r", &["g"]), ("none", &[])];
        let sums = contrasts(&design(&arms, &["g", "r"]));
        let of = |kind, name| weights(&sums, kind, name).expect("listed");
        assert_eq!(of(ContrastKind::Arm, "no-r"), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(of(ContrastKind::Difference, "none"), [-1.0, 0.0, 0.0, 1.0]);
        assert_eq!(of(ContrastKind::Effect, "g"), [0.5, -0.5, 0.5, -0.5]);
        assert_eq!(of(ContrastKind::Effect, "r"), [0.5, 0.5, -0.5, -0.5]);
        assert_eq!(of(ContrastKind::Interaction, "g x r"), [1.0, -1.0, -1.0, 1.0]);
        assert_eq!(of(ContrastKind::Lead, "g - r"), [0.0, -1.0, 1.0, 0.0]);
        assert_eq!(of(ContrastKind::Removal, "g"), [-1.0, 1.0, 0.0, 0.0]);
        assert_eq!(of(ContrastKind::Removal, "r"), [0.0, -1.0, 0.0, 1.0]);
        assert_eq!(of(ContrastKind::Sequence, "g - r"), [1.0, -2.0, 0.0, 1.0]);
        assert_eq!(sums.len(), 4 + 3 + 2 + 1 + 1 + 2 + 1);
    }

    #[test]
    fn what_lacks_its_arms_is_left_out() {
        let arms: [(&str, &[&str]); 3] = [("full", &["g", "r"]), ("no-g", &["r"]), ("none", &[])];
        let sums = contrasts(&design(&arms, &["g", "r"]));
        let of = |kind, name| weights(&sums, kind, name);
        // Each effect from the one pair that differs in it alone.
        assert_eq!(of(ContrastKind::Effect, "g"), Some(vec![1.0, -1.0, 0.0]));
        assert_eq!(of(ContrastKind::Effect, "r"), Some(vec![0.0, 1.0, -1.0]));
        assert_eq!(of(ContrastKind::Interaction, "g x r"), None);
        assert_eq!(of(ContrastKind::Removal, "r"), Some(vec![0.0, -1.0, 1.0]));
        let arms: [(&str, &[&str]); 2] = [("a", &[]), ("b", &[])];
        let plain = contrasts(&design(&arms, &[]));
        assert_eq!(plain.len(), 3, "two arms and a difference: {plain:?}");
    }
}
