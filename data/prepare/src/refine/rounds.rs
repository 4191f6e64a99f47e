//! The conversation about one caption: Summarizer, then Evaluator and Refiner in turns.

use super::answer::{Verdict, caption, verdict};
use super::caller::Caller;
use super::chat::{Answer, Question};
use super::error::Trouble;
use super::prompts::{Prompts, RoleName};
use super::values::Values;
use super::{CaptionLimit, Crop, Listing, Refined, Stop};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use configs::prepare::Refine;

/// What the conversations of a run have in common.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) caller: Caller,
    pub(super) prompts: Prompts,
    pub(super) limit: CaptionLimit,
    models: [String; 3],
    max_rounds: u32,
    max_reasks: u32,
    vision: bool,
}

/// A caption, and the model that wrote it.
struct Draft {
    text: String,
    model: String,
}

impl Rounds {
    pub(super) fn new(
        refine: &Refine,
        caller: Caller,
        prompts: Prompts,
        limit: CaptionLimit,
    ) -> Self {
        let usual = refine.model.clone().unwrap_or_default();
        let model = |role: RoleName| role.section(refine).model.clone().unwrap_or(usual.clone());
        Self {
            caller,
            prompts,
            limit,
            models: [RoleName::Summarizer, RoleName::Evaluator, RoleName::Refiner].map(model),
            max_rounds: refine.max_rounds,
            max_reasks: refine.max_reasks,
            vision: refine.vision,
        }
    }

    /// The caption of a product. As in VL-CLIP: a first draft, then rounds of criticism and
    /// refinement until the Evaluator has nothing to say, or there were `max_rounds`. What the
    /// last round wrote is not judged any more: no round is left to act on it. A caption that is
    /// too long gets its criticism from us and not from the Evaluator.
    pub(super) async fn refine(
        &self,
        listing: Listing<'_>,
        crop: Option<Crop<'_>>,
    ) -> Result<Refined, Trouble> {
        let picture = crop.filter(|_| self.vision).map(|Crop { bytes, media_type }| {
            format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
        });
        let talk = Talk { rounds: self, listing, picture: picture.as_deref() };
        let mut draft = talk.draft(RoleName::Summarizer, "", "").await?;
        let mut fitting: Option<Draft> = None;
        let mut rounds = 0;
        loop {
            let excess = self.limit.excess(&draft.text);
            if rounds == self.max_rounds {
                // The last caption that fits; it may be older than the last one.
                let last = if excess.is_none() { Some(draft) } else { fitting };
                return Ok(match last {
                    Some(Draft { text, model }) => refined(text, rounds, Stop::MaxRounds, model),
                    None => {
                        let raw = self.limit.cut(listing.title).to_owned();
                        let most = self.limit.max_tokens;
                        let failure = Some(format!("no caption fitted into {most} tokens"));
                        let raw = refined(raw, rounds, Stop::TooLong, String::new());
                        Refined { failure, ..raw }
                    }
                });
            }
            let critique = match excess {
                Some(tokens) => self.too_long(tokens),
                None => match talk.judge(&draft.text).await? {
                    Verdict::Good => {
                        return Ok(refined(draft.text, rounds, Stop::Stop, draft.model));
                    }
                    Verdict::Critique(critique) => critique,
                },
            };
            let next = talk.draft(RoleName::Refiner, &draft.text, &critique).await?;
            if excess.is_none() {
                fitting = Some(draft);
            }
            draft = next;
            rounds += 1;
        }
    }

    fn too_long(&self, tokens: usize) -> String {
        format!(
            "The caption is too long: it has {tokens} tokens and at most {} fit. Shorten it to at \
             most {} words; keep what the product is and what sets it apart.",
            self.limit.max_tokens,
            self.limit.words()
        )
    }
}

fn refined(caption: String, rounds: u32, stop: Stop, model: String) -> Refined {
    Refined { caption, further: Vec::new(), rounds, stop, model, failure: None }
}

/// The conversation about one product.
struct Talk<'a> {
    rounds: &'a Rounds,
    listing: Listing<'a>,
    picture: Option<&'a str>,
}

impl Talk<'_> {
    async fn draft(&self, role: RoleName, before: &str, critique: &str) -> Result<Draft, Trouble> {
        let (text, model) = self.ask(role, before, critique, caption).await?;
        Ok(Draft { text, model })
    }

    async fn judge(&self, text: &str) -> Result<Verdict, Trouble> {
        Ok(self.ask(RoleName::Evaluator, text, "", verdict).await?.0)
    }

    /// What `read` makes of a role's answer, and the model that gave it. An answer that it cannot
    /// use is asked for again, with the reason: at temperature 0 the same question would get the
    /// same answer.
    async fn ask<T>(
        &self,
        role: RoleName,
        caption: &str,
        critique: &str,
        read: fn(&Answer) -> Result<T, String>,
    ) -> Result<(T, String), Trouble> {
        let Rounds { limit, models, .. } = self.rounds;
        let (max_tokens, max_words) = (limit.max_tokens, limit.words());
        let values = Values { listing: self.listing, caption, critique, max_tokens, max_words };
        let (system, asked) = self.rounds.prompts.of(role).fill(&values);
        let model = models[role as usize].as_str();
        let mut question = Question { model, system, user: asked.clone(), picture: self.picture };
        let mut reasks = 0;
        loop {
            let answer = self.rounds.caller.ask(&question).await?;
            let why = match read(&answer) {
                Ok(read) => return Ok((read, answer.model)),
                Err(why) => why,
            };
            if reasks == self.rounds.max_reasks {
                let times = if reasks == 0 { "" } else { &format!(" {} times", reasks + 1) };
                let role = role.name();
                return Err(Trouble::Product(format!(
                    "the {role}'s answer could not be used{times}: {why}"
                )));
            }
            reasks += 1;
            question.user = format!(
                "{asked}\n\nYou have been asked this before; answer number {reasks} could not be \
                 used: {why}. Answer exactly as asked above."
            );
        }
    }
}
