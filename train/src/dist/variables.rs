//! Reading the variables of an environment, with errors that say what to do.

/// A variable of the environment that is missing, cannot be read, or contradicts another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable}: expected {expected}, found {found}; {advice}")]
pub struct PlacementError {
    /// Its name.
    pub variable: &'static str,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
    /// What to do about it.
    pub advice: String,
}

/// An environment, looked up by name. An empty value counts as none.
pub struct Variables<F>(pub F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    pub fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The first of `names` that is set, or the last.
    pub fn first_set(&self, names: [&'static str; 2]) -> &'static str {
        if self.text(names[0]).is_some() { names[0] } else { names[1] }
    }

    pub fn number(&self, name: &'static str) -> Result<Option<usize>, PlacementError> {
        let text = self.text(name);
        text.map(|text| text.parse().map_err(|_| refused(name, NUMBER, &text, CORRECT))).transpose()
    }

    /// A TCP port.
    pub fn port(&self, name: &'static str) -> Result<Option<u16>, PlacementError> {
        let read = |text: String| match text.parse() {
            Ok(0) | Err(_) => Err(refused(name, "a port from 1 to 65535", &text, CORRECT)),
            Ok(port) => Ok(port),
        };
        self.text(name).map(read).transpose()
    }

    pub fn required_number(
        &self,
        name: &'static str,
        advice: &str,
    ) -> Result<usize, PlacementError> {
        self.number(name)?.ok_or_else(|| missing(name, NUMBER, advice))
    }

    pub fn required_text(
        &self,
        name: &'static str,
        expected: &str,
        advice: &str,
    ) -> Result<String, PlacementError> {
        self.text(name).ok_or_else(|| missing(name, expected, advice))
    }
}

const NUMBER: &str = "a whole number from 0";
const CORRECT: &str = "correct or unset it";

fn missing(variable: &'static str, expected: &str, advice: &str) -> PlacementError {
    let (expected, advice) = (expected.into(), advice.into());
    PlacementError { variable, expected, found: "none".into(), advice }
}

/// The error for a value that is not what it should be.
pub fn refused(variable: &'static str, expected: &str, text: &str, advice: &str) -> PlacementError {
    let (expected, advice) = (expected.into(), advice.into());
    PlacementError { variable, expected, found: format!("`{text}`"), advice }
}

/// Refuses a `value` of `variable` that is not below `limit`, the value of `other`.
pub fn below(
    variable: &'static str,
    value: usize,
    other: &str,
    limit: usize,
) -> Result<(), PlacementError> {
    if value < limit {
        return Ok(());
    }
    let advice = "correct one of the two; ranks count from 0";
    Err(refused(variable, &format!("a number below {other} ({limit})"), &value.to_string(), advice))
}
