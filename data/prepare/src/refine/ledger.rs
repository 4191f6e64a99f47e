//! What the agent has spent, and when that is enough.

use super::RefineError;
use configs::prepare::{Budget, Price};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What was spent since the agent was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Calls sent, repeated and failed ones included.
    pub requests: u64,
    /// Answers that were known already and cost nothing.
    pub cached: u64,
    /// Tokens asked, as the server counts them; estimated where it does not say.
    pub input_tokens: u64,
    /// Tokens answered.
    pub output_tokens: u64,
    /// Money by `refine.prices`; models without a price cost none.
    pub money: f64,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, cached, input_tokens, output_tokens, money } = self;
        write!(f, "{requests} calls, {input_tokens} tokens asked, {output_tokens} answered")?;
        if *money > 0.0 {
            write!(f, ", {money:.4} of money")?;
        }
        write!(f, "; {cached} answers were known already")
    }
}

/// Keeps the accounts.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: Budget,
    prices: BTreeMap<String, Price>,
    spent: Mutex<Spent>,
}

impl Ledger {
    pub(super) fn new(budget: Budget, prices: BTreeMap<String, Price>) -> Self {
        Self { budget, prices, spent: Mutex::default() }
    }

    /// Counts a call that is about to be sent; an error where nothing is left for it.
    pub(super) fn admit(&self) -> Result<(), RefineError> {
        let mut spent = self.lock();
        let Budget { requests, tokens, money } = self.budget;
        let used = spent.input_tokens + spent.output_tokens;
        let over = |which, limit: String| Err(RefineError::Budget { which, limit, spent: *spent });
        match (requests, tokens, money) {
            (Some(most), _, _) if spent.requests >= most => over("requests", most.to_string()),
            (_, Some(most), _) if used >= most => over("tokens", most.to_string()),
            (_, _, Some(most)) if spent.money >= most => over("money", most.to_string()),
            _ => {
                spent.requests += 1;
                Ok(())
            }
        }
    }

    /// Counts an answer of `model`.
    pub(super) fn paid(&self, model: &str, input_tokens: u64, output_tokens: u64) {
        let mut spent = self.lock();
        spent.input_tokens += input_tokens;
        spent.output_tokens += output_tokens;
        if let Some(price) = self.prices.get(model) {
            spent.money += (input_tokens as f64 * price.input_per_million
                + output_tokens as f64 * price.output_per_million)
                / 1e6;
        }
    }

    /// Counts an answer that was in the cache.
    pub(super) fn known(&self) {
        self.lock().cached += 1;
    }

    pub(super) fn spent(&self) -> Spent {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
