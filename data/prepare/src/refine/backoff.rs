//! How long a call waits before it is repeated.

use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

/// The longest pause that grows by itself.
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after try number `tries` (from 1) of the call `key`: doubled each time, and between
/// half and all of that by the call, so that calls that failed together do not come back together.
pub(super) fn pause(base: Duration, tries: u32, key: &[u8; 32]) -> Duration {
    let doubled = base.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    let digest = Sha256::new().chain_update(key).chain_update(tries.to_le_bytes()).finalize();
    let draw = f64::from(u16::from_le_bytes([digest[0], digest[1]])) / f64::from(u16::MAX);
    doubled.min(LONGEST).mul_f64(0.5 + 0.5 * draw)
}

/// The pause that a Retry-After header asks for: seconds, or a date.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_by_call() {
        let base = Duration::from_secs(1);
        let all: Vec<Duration> = (1..=9).map(|tries| pause(base, tries, &[7; 32])).collect();
        for (tries, pause) in (0..).zip(&all) {
            let most = Duration::from_secs(1 << tries).min(LONGEST);
            assert!(*pause >= most / 2 && *pause <= most, "{pause:?} after {tries}");
        }
        assert_eq!(all[3], pause(base, 4, &[7; 32]));
        assert_ne!(all[3], pause(base, 4, &[8; 32]));
        assert!(pause(base, u32::MAX, &[0; 32]) <= LONGEST);
    }

    #[test]
    fn both_spellings_of_retry_after() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after(" 3 ", now), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("0.25", now), Some(Duration::from_millis(250)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT"; // the example of RFC 9110, 784111777 s
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(7)));
        let later = now + Duration::from_secs(100);
        assert_eq!(retry_after(date, later), Some(Duration::ZERO));
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
