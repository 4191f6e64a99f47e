//! From what a model says to a caption or a verdict: harmless wrapping comes off, what is no
//! answer is refused with a reason that the model can be told.

use super::chat::Answer;

/// How refusals begin.
const REFUSALS: [&str; 15] = [
    "i'm sorry",
    "i am sorry",
    "sorry, i",
    "sorry, but",
    "i cannot",
    "i can't",
    "i can not",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "i am not able",
    "i apologize",
    "i won't",
    "as an ai",
    "unfortunately, i",
];
/// What the Evaluator says to a caption that is good.
const STOP: &str = "<STOP>";

/// What the Evaluator thinks of a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is to be done.
    Good,
    /// What is wrong, with fixes.
    Critique(String),
}

/// The caption that an answer holds, on one line.
pub(super) fn caption(answer: &Answer) -> Result<String, String> {
    let text = whole(answer)?;
    let text = unlabelled(unfenced(&text));
    let mut caption = text.replace(STOP, " ").split_whitespace().collect::<Vec<_>>().join(" ");
    loop {
        let bare = unlabelled(unquoted(&caption)).trim().to_owned();
        if bare == caption {
            break;
        }
        caption = bare;
    }
    if !caption.chars().any(char::is_alphanumeric) {
        return Err("it is empty".into());
    }
    not_refusing(&caption)?;
    Ok(caption)
}

/// The verdict that an answer holds: [`Verdict::Good`] where `<STOP>` is the answer's begin or end.
pub(super) fn verdict(answer: &Answer) -> Result<Verdict, String> {
    let text = whole(answer)?;
    let text = unfenced(&text).trim();
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric() && c != '<' && c != '>');
    let is_stop = |piece: Option<&str>| piece.is_some_and(|p| p.eq_ignore_ascii_case(STOP));
    let (head, tail) = (bare.get(..STOP.len()), bare.len().checked_sub(STOP.len()));
    if is_stop(head) || is_stop(tail.and_then(|at| bare.get(at..))) {
        return Ok(Verdict::Good);
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err("it is empty".into());
    }
    not_refusing(text)?;
    Ok(Verdict::Critique(text.to_owned()))
}

/// The text of an answer that was neither cut nor withheld, without a reasoning model's thoughts.
fn whole(answer: &Answer) -> Result<String, String> {
    if answer.refusal.as_ref().is_some_and(|refusal| !refusal.trim().is_empty()) {
        return Err("it is a refusal".into());
    }
    match answer.finish.as_str() {
        "length" => return Err("it was cut at the greatest length of an answer".into()),
        "content_filter" => return Err("it was withheld by the server's content filter".into()),
        _ => {}
    }
    let text = answer.content.trim();
    // Some chat templates put the opening tag into the prompt.
    Ok(match text.rsplit_once("</think>") {
        Some((_, after)) => after.trim().to_owned(),
        None if text.starts_with("<think>") => return Err("it thinks without an end".into()),
        None => text.to_owned(),
    })
}

/// What is inside of a block fenced by three backticks, where the answer is one.
fn unfenced(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("```") else { return text };
    let inner = inner.split_once('\n').map_or(inner, |(_, after)| after);
    inner.trim_end().strip_suffix("```").unwrap_or(inner).trim()
}

/// Without a first `Caption:`, `**Refined caption:**` or `Here is the caption:`.
fn unlabelled(text: &str) -> &str {
    let Some((before, rest)) = text.split_once(':') else { return text };
    let bold = before.trim_start().starts_with("**");
    let label: String = before.chars().filter(|c| !"*_#".contains(*c)).collect();
    let label = label.trim().to_lowercase();
    let is_label = ["caption", "description"].iter().any(|end| label.ends_with(end))
        && label.split_whitespace().count() <= 7
        && (["caption", "description"].contains(&label.as_str())
            || ["here", "the ", "final ", "refined ", "revised ", "improved ", "new ", "product "]
                .iter()
                .any(|begin| label.starts_with(begin)));
    if !is_label {
        return text;
    }
    let rest = rest.trim_start();
    match (bold, rest.strip_prefix("**")) {
        (true, Some(rest)) => rest.trim_start(),
        // The marks are around all of it, and come off first.
        (true, None) if !before.trim_end().ends_with("**") => text,
        _ => rest,
    }
}

/// Without one pair of quotes or markdown marks around all of it.
fn unquoted(text: &str) -> &str {
    const PAIRS: [(&str, &str); 8] = [
        ("**", "**"),
        ("\"", "\""),
        ("\u{201c}", "\u{201d}"),
        ("\u{ab}", "\u{bb}"),
        ("'", "'"),
        ("\u{2018}", "\u{2019}"),
        ("`", "`"),
        ("*", "*"),
    ];
    for (open, close) in PAIRS {
        if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
            && !inner.contains(open)
        {
            return inner.trim();
        }
    }
    text
}

fn not_refusing(text: &str) -> Result<(), String> {
    let head: String = text.chars().take(40).collect::<String>().to_lowercase();
    let head = head.replace('\u{2019}', "'");
    match REFUSALS.iter().any(|refusal| head.starts_with(refusal)) {
        true => Err("it is a refusal".into()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content: &str) -> Answer {
        Answer {
            content: content.into(),
            finish: "stop".into(),
            refusal: None,
            model: "m".into(),
            input_tokens: 0,
            output_tokens: 0,
        }
    }

    #[test]
    fn harmless_wrapping_comes_off() {
        for wrapped in [
            "A red mug",
            "  \"A red\nmug\" ",
            "Caption: A red mug",
            "**Refined caption:** \"A red mug\"",
            "Here is the refined caption:\n\nA red mug",
            "```\nA red mug\n```",
            "```text\nCaption: **A red mug**\n```",
            "\u{201c}A red mug\u{201d}",
            "\"Caption: A red mug\"",
            "**Caption: A red mug**",
            "**Caption**: A red mug",
            "<think>It is \"red\".</think>\nA red mug",
            "it is red</think> A red mug",
            "A red mug <STOP>",
        ] {
            assert_eq!(caption(&answer(wrapped)).unwrap(), "A red mug", "{wrapped}");
        }
        // What belongs to the caption stays.
        for kept in [
            "\"Sunrise\" poster with \"gold\"",
            "Sorry! board game for four",
            "Set of two: a red mug and a lid",
            "Men's 'slim' shirt",
            "Book with a caption: \"Home\"",
        ] {
            assert_eq!(caption(&answer(kept)).unwrap(), kept);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_with_a_reason() {
        let why = |content: &str| caption(&answer(content)).unwrap_err();
        assert_eq!(why(""), "it is empty");
        assert_eq!(why(" \n\"...\""), "it is empty");
        assert_eq!(why("<think>hm"), "it thinks without an end");
        assert_eq!(why("I\u{2019}m sorry, I can't help with that."), "it is a refusal");
        assert_eq!(why("\"I cannot see a picture\""), "it is a refusal");
        let cut = Answer { finish: "length".into(), ..answer("A red") };
        assert_eq!(caption(&cut).unwrap_err(), "it was cut at the greatest length of an answer");
        let withheld = Answer { finish: "content_filter".into(), ..answer("") };
        assert_eq!(
            verdict(&withheld).unwrap_err(),
            "it was withheld by the server's content filter"
        );
        let marked = Answer { refusal: Some("no".into()), ..answer("") };
        assert_eq!(verdict(&marked).unwrap_err(), "it is a refusal");
        assert_eq!(verdict(&answer("I cannot judge this")).unwrap_err(), "it is a refusal");
        assert_eq!(verdict(&answer("```\n```")).unwrap_err(), "it is empty");
    }

    #[test]
    fn stop_is_the_begin_or_the_end() {
        for good in ["<STOP>", "`<STOP>`.", "The caption is good. <STOP>", "<stop>\nWell done."] {
            assert_eq!(verdict(&answer(good)).unwrap(), Verdict::Good, "{good}");
        }
        for critique in ["Name the colour.", "No <STOP> yet: name the colour", "STOP"] {
            let expected = Verdict::Critique(critique.into());
            assert_eq!(verdict(&answer(critique)).unwrap(), expected);
        }
    }
}
