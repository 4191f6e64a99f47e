//! The prompts of the agent's roles: text files with placeholders in braces, built in or the
//! user's.

use super::RefineError;
use super::values::{VALUES, Value, Values};
use crate::digest::hex;
use configs::prepare::{AgentRole, Refine};
use sha2::{Digest, Sha256};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleName {
    Summarizer,
    Evaluator,
    Refiner,
}

impl RoleName {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Summarizer => "summarizer",
            Self::Evaluator => "evaluator",
            Self::Refiner => "refiner",
        }
    }

    fn built_in(self) -> &'static str {
        match self {
            Self::Summarizer => include_str!("prompts/summarizer.txt"),
            Self::Evaluator => include_str!("prompts/evaluator.txt"),
            Self::Refiner => include_str!("prompts/refiner.txt"),
        }
    }

    /// The section of the configuration.
    pub(super) fn section(self, refine: &Refine) -> &AgentRole {
        match self {
            Self::Summarizer => &refine.roles.summarizer,
            Self::Evaluator => &refine.roles.evaluator,
            Self::Refiner => &refine.roles.refiner,
        }
    }

    /// What its prompt must have in it, or the role cannot work.
    fn needs(self) -> &'static [Value] {
        match self {
            Self::Summarizer => &[],
            Self::Evaluator => &[Value::Caption],
            Self::Refiner => &[Value::Caption, Value::Critique],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Value),
}

/// One role's prompt: what stands above a line `---` is the system message, what stands below it
/// the user's; without that line all of it is the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    system: Option<Vec<Piece>>,
    user: Vec<Piece>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Prompts {
    summarizer: Prompt,
    evaluator: Prompt,
    refiner: Prompt,
    /// Of all three as they were read.
    pub(super) sha256: String,
}

impl Prompts {
    /// Reads the prompts that the section names, and takes the built-in ones for the others.
    pub(super) fn read(refine: &Refine) -> Result<Self, RefineError> {
        let mut hash = Sha256::new();
        let mut prompt = |role: RoleName| {
            let (place, text) = match &role.section(refine).prompt {
                Some(path) => {
                    let text = std::fs::read(path).map_err(RefineError::io("read", path))?;
                    let place = path.display().to_string();
                    let text = String::from_utf8(text).map_err(|error| {
                        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
                        let problem = "expected text in UTF-8, found other bytes".into();
                        RefineError::Prompt { place: format!("{place}:{line}"), problem }
                    })?;
                    (place, text)
                }
                None => (format!("{}.txt", role.name()), role.built_in().to_owned()),
            };
            for part in [role.name(), &text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            Prompt::parse(role, &text, &place)
        };
        Ok(Self {
            summarizer: prompt(RoleName::Summarizer)?,
            evaluator: prompt(RoleName::Evaluator)?,
            refiner: prompt(RoleName::Refiner)?,
            sha256: hex(&hash.finalize()),
        })
    }

    pub(super) fn of(&self, role: RoleName) -> &Prompt {
        match role {
            RoleName::Summarizer => &self.summarizer,
            RoleName::Evaluator => &self.evaluator,
            RoleName::Refiner => &self.refiner,
        }
    }
}

/// The line, from 1, of the byte at `at`.
fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at].iter().filter(|&&byte| byte == b'\n').count()
}

impl Prompt {
    fn parse(role: RoleName, text: &str, place: &str) -> Result<Self, RefineError> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut before = 0;
        let divider = text.split_inclusive('\n').find_map(|line| {
            let at = before;
            before += line.len();
            (line.trim() == "---").then_some((at, before))
        });
        let part = |from: usize, to: usize| pieces(&text[from..to], line_of(text.as_bytes(), from));
        let parsed = match divider {
            Some((end, start)) => part(0, end).and_then(|system| {
                Ok(Self { system: Some(system), user: part(start, text.len())? })
            }),
            None => part(0, text.len()).map(|user| Self { system: None, user }),
        };
        let prompt = parsed.map_err(|(line, problem)| RefineError::Prompt {
            place: format!("{place}:{line}"),
            problem,
        })?;
        let wrong = |problem| Err(RefineError::Prompt { place: place.to_owned(), problem });
        let all = || prompt.system.iter().flatten().chain(&prompt.user);
        for needed in role.needs() {
            if !all().any(|piece| *piece == Piece::Value(*needed)) {
                let name = VALUES.iter().find(|(_, value)| value == needed).map_or("", |v| v.0);
                let role = role.name();
                return wrong(format!("the {role}'s prompt must have `{{{name}}}` in it"));
            }
        }
        if role == RoleName::Evaluator && !text.contains("<STOP>") {
            return wrong(
                "the evaluator's prompt must tell it to answer <STOP> to a caption that is good"
                    .into(),
            );
        }
        if prompt.user.is_empty() {
            return wrong("the user's message is empty".into());
        }
        Ok(prompt)
    }

    /// The system's and the user's message.
    pub(super) fn fill(&self, values: &Values) -> (Option<String>, String) {
        let fill = |pieces: &Vec<Piece>| {
            let texts = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(value) => values.text(*value),
            });
            texts.collect::<String>().trim().to_owned()
        };
        let system = self.system.as_ref().map(fill).filter(|text| !text.is_empty());
        (system, fill(&self.user))
    }
}

/// Text and placeholders; `line` is the first one's number. An error has its line.
fn pieces(source: &str, mut line: usize) -> Result<Vec<Piece>, (usize, String)> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let mut letters = source.trim_end().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' if letters.next_if_eq(&letter).is_some() => text.push(letter),
            '}' => {
                let problem = "`}` closes nothing; write `}}` for a brace itself";
                return Err((line, problem.into()));
            }
            '{' => {
                let mut name = String::new();
                while let Some(letter) = letters.next_if(|c| !"{}\n".contains(*c)) {
                    name.push(letter);
                }
                if letters.next_if_eq(&'}').is_none() {
                    let problem = "expected a placeholder's name and `}` after the `{`; write \
                                   `{{` for a brace itself";
                    return Err((line, problem.into()));
                }
                let Some((_, value)) = VALUES.iter().find(|(known, _)| *known == name) else {
                    let known: Vec<String> =
                        VALUES.iter().map(|(known, _)| format!("{{{known}}}")).collect();
                    let known = known.join(", ");
                    let problem = format!(
                        "unknown placeholder `{{{name}}}`; expected one of {known}; write `{{{{` \
                         and `}}}}` for braces themselves"
                    );
                    return Err((line, problem));
                };
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Value(*value));
            }
            letter => {
                line += usize::from(letter == '\n');
                text.push(letter);
            }
        }
    }
    if !text.trim().is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::super::Listing;
    use super::*;

    fn message(role: RoleName, text: &str) -> String {
        Prompt::parse(role, text, "mine.txt").unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_prompts_are_read_and_filled() {
        let prompts = Prompts::read(&Refine::default()).unwrap();
        assert_eq!(prompts.sha256.len(), 64);
        let attributes = [("colour".to_owned(), "red".to_owned())];
        let listing = Listing {
            product_id: "1",
            title: " Mug {caption} ",
            description: Some("Holds\n300 ml."),
            product_type: "mug",
            attributes: &attributes,
        };
        let values = Values {
            listing,
            caption: "A mug",
            critique: "Colour!",
            max_tokens: 77,
            max_words: 50,
        };
        for role in [RoleName::Summarizer, RoleName::Evaluator, RoleName::Refiner] {
            let (system, user) = prompts.of(role).fill(&values);
            assert!(system.unwrap().starts_with("You "));
            let product = "Title: Mug {caption}\nProduct type: mug\ncolour: red\n\
                           Description: Holds\n300 ml.\n\n";
            assert!(user.contains(product), "{user}");
            assert!(user.contains("at most 50 words"));
            assert_eq!(user.contains("\n\nA mug\n\n"), role != RoleName::Summarizer);
            assert_eq!(user.contains("\n\nColour!\n\n"), role == RoleName::Refiner);
        }
    }

    #[test]
    fn system_and_user_are_divided_by_a_line() {
        let parse = |text| Prompt::parse(RoleName::Summarizer, text, "mine.txt").unwrap();
        let text = |text: &str| vec![Piece::Text(text.into())];
        assert_eq!(parse("a {{b}}\n").user, text("a {b}"));
        assert_eq!(parse("a\r\n--- \r\nb"), Prompt { system: Some(text("a")), user: text("b") });
        // A table's rule is not a divider.
        assert_eq!(parse("a\n--- ---\nb").system, None);
    }

    #[test]
    fn messages_name_file_and_line() {
        let role = RoleName::Summarizer;
        assert_eq!(
            message(role, "Write.\n---\n\n{titel}"),
            "mine.txt:4: unknown placeholder `{titel}`; expected one of {product}, {title}, \
             {description}, {product_type}, {attributes}, {caption}, {critique}, {max_tokens}, \
             {max_words}; write `{{` and `}}` for braces themselves"
        );
        assert_eq!(
            message(role, "a\nb {title\n}"),
            "mine.txt:2: expected a placeholder's name and `}` after the `{`; write `{{` for a \
             brace itself"
        );
        assert_eq!(
            message(role, "a}"),
            "mine.txt:1: `}` closes nothing; write `}}` for a brace itself"
        );
        assert_eq!(message(role, "a\n---\n "), "mine.txt: the user's message is empty");
        assert_eq!(
            message(RoleName::Refiner, "{caption}"),
            "mine.txt: the refiner's prompt must have `{critique}` in it"
        );
        assert_eq!(
            message(RoleName::Evaluator, "{caption}"),
            "mine.txt: the evaluator's prompt must tell it to answer <STOP> to a caption that is \
             good"
        );
    }
}
