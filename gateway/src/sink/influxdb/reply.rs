//! What a server's answer to a write means: taken, never, or later. Nothing is decided here about what is sent next.

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use std::error::Error;
use std::time::Duration;

/// As much of an error's text as is read.
const LONGEST_ANSWER: usize = 8 << 10;

/// The longest wish to wait that is granted.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What the server said to some points.
pub(super) enum Reply {
    /// It has them all.
    Accepted,
    /// Some of the points, or all of them together, will never be taken.
    Refused {
        /// The server's reason.
        why: String,
        /// How many, if it says so.
        points: Option<usize>,
    },
    /// It may take them another time.
    Later {
        /// The server's own wish.
        after: Option<Duration>,
        /// What happened and what to do about it.
        why: String,
    },
}

/// What an answer means.
pub(super) async fn understand(mut response: Response) -> Reply {
    let status = response.status();
    if status.is_success() {
        return Reply::Accepted;
    }
    let after = retry_after(&response);
    let said = error_text(&mut response).await;
    let later = |why: &str| Reply::Later { after, why: format!("InfluxDB answers {status}: {}; {why}", said.text()) };
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => match said {
            Said::Influx(why) => Reply::Refused { points: dropped(&why), why },
            Said::Other(_) => later("is `url` right? No InfluxDB says this"),
        },
        StatusCode::PAYLOAD_TOO_LARGE => {
            Reply::Refused { points: None, why: format!("larger than the server takes: {}", said.text()) }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            later("check `username` and `password_file`, or `token_file`, and their rights")
        }
        StatusCode::NOT_FOUND => later("create the database or bucket, or check `database`, `org` and `bucket`"),
        StatusCode::TOO_MANY_REQUESTS => later("it wants fewer requests"),
        status if status.is_redirection() => later("it wants another address: check `url`"),
        _ => later("look into its log"),
    }
}

/// An error's text: as every InfluxDB words it, or from something else on the way.
enum Said {
    Influx(String),
    Other(String),
}

impl Said {
    fn text(&self) -> &str {
        match self {
            Self::Influx(text) | Self::Other(text) => text,
        }
    }
}

async fn error_text(response: &mut Response) -> Said {
    let is_influx = response.headers().keys().any(|name| name.as_str().starts_with("x-influxdb-"));
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= LONGEST_ANSWER {
            break;
        }
    }
    let json = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let field = |name| json.as_ref().and_then(|json| json.get(name)?.as_str()).map(shortened);
    // 1.x and 3.x say `error`, 2.x says `message`.
    match field("error").or_else(|| field("message")) {
        Some(text) => Said::Influx(text),
        // 1.x quotes every line that it could not read: too long to be read to its end.
        None if is_influx => Said::Influx(shortened(&String::from_utf8_lossy(&body))),
        None => Said::Other(shortened(&String::from_utf8_lossy(&body))),
    }
}

/// `partial write: field type conflict: … dropped=12`
fn dropped(why: &str) -> Option<usize> {
    let (_, after) = why.rsplit_once("dropped=")?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(300).collect()
}

/// Only the form in seconds: no InfluxDB sends a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Why there is no answer at all.
pub(super) fn unreachable(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let remedy = match error {
        e if e.is_timeout() => "it does not answer in time",
        e if e.is_connect() => "is it running, are `url` and the certificates right?",
        _ => "the connection broke",
    };
    format!("InfluxDB cannot be reached: {cause}; {remedy}")
}
