//! Passwords and tokens: where they are, never what they are.
//!
//! A secret is read anew for every connection, so that a changed one needs no restart. It is never part of the
//! configuration, a log line or a command line.

use crate::section::Section;
use reqwest::Url;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longer than any password or token.
const LIMIT: u64 = 16 << 10;

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// In a file; a relative name first means one of systemd's credentials (`LoadCredential=`).
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

impl Secret {
    /// Takes `…_file` or `…_env` out of a section.
    pub(crate) fn take(section: &mut Section<'_, '_>, file: &'static str, variable: &'static str) -> Option<Self> {
        let path = section.take::<PathBuf>(file).map(Self::File);
        let place = section.take_spanned::<String>(variable);
        match (path, place) {
            (Some(_), Some(place)) => {
                let message = format!("[{}] has both `{file}` and `{variable}`", section.name());
                section.report(place.span(), message, "one of the two is too many", None);
                None
            }
            (path, place) => path.or(place.map(|p| Self::Variable(p.into_inner()))),
        }
    }

    /// The secret itself, without the line feed that editors leave; or why it cannot be had.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            Self::File(path) => read_file(&resolve(path)),
            Self::Variable(name) => std::env::var(name).map_err(|e| format!("environment variable {name}: {e}")),
        }
    }
}

/// A user and where the password is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user's name.
    pub(crate) user: String,
    password: Option<Secret>,
}

impl Login {
    /// Takes `username` and `password_file` or `password_env`; a password for nobody is reported.
    pub(crate) fn take(section: &mut Section<'_, '_>) -> Option<Self> {
        let user = section.take("username");
        let password = Secret::take(section, "password_file", "password_env");
        if user.is_none() && password.is_some() {
            let message = format!("[{}] has a password, but no `username`", section.name());
            section.report(section.place(), message, "whose password?", Some("add username = \"…\"".into()));
        }
        Some(Self { user: user?, password })
    }

    /// The password; empty where there is none.
    pub(crate) fn password(&self) -> Result<String, String> {
        self.password.as_ref().map_or(Ok(String::new()), Secret::read)
    }
}

fn resolve(path: &Path) -> PathBuf {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(path));
    credential.filter(|file| path.is_relative() && file.exists()).unwrap_or_else(|| path.to_owned())
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Reports a user or password inside an address: it would show up in logs.
pub(crate) fn refuse_in_url(section: &Section<'_, '_>, place: Range<usize>, url: &Url) {
    if !url.username().is_empty() || url.password().is_some() {
        let help = Some("use `username` and `password_file`".into());
        section.report(place, "a password in `url` would show up in logs", "user or password in `url`", help);
    }
}

/// Why a file with a secret, certificate or key cannot be read, and what to do.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "is the name right?",
        io::ErrorKind::PermissionDenied => "the user that runs weir must be allowed to read it",
        io::ErrorKind::InvalidData => "it must be text",
        _ => "check the disk",
    };
    format!("{} cannot be read: {error}; {remedy}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Problems;
    use toml::de::DeTable;

    #[test]
    fn the_line_feed_of_an_editor_is_not_part_of_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, " s3cret \r\n").unwrap();
        assert_eq!(Secret::File(path).read().unwrap(), " s3cret ");
    }

    #[test]
    fn what_cannot_be_read_is_named_but_not_shown() {
        let missing = Secret::File("/nonexistent/password".into()).read().unwrap_err();
        assert!(missing.contains("/nonexistent/password") && missing.contains("is the name right?"), "{missing}");
        let unset = Secret::Variable("WEIR_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert!(unset.contains("WEIR_NO_SUCH_VARIABLE"), "{unset}");
    }

    #[test]
    fn a_password_needs_its_user() {
        let problems = Problems::default();
        let table = DeTable::parse("password_file = 'a'").unwrap();
        let mut section = Section::new("sink.plant", table.span(), table.into_inner(), &problems);
        assert_eq!(Login::take(&mut section), None);
        assert_eq!(problems.into_sorted()[0].message, "[sink.plant] has a password, but no `username`");
    }

    #[test]
    fn two_places_for_one_secret_are_refused() {
        let problems = Problems::default();
        let table = DeTable::parse("password_file = 'a'\npassword_env = 'B'").unwrap();
        let mut section = Section::new("sink.plant", table.span(), table.into_inner(), &problems);
        assert_eq!(Secret::take(&mut section, "password_file", "password_env"), None);
        assert_eq!(problems.into_sorted().len(), 1);
    }
}
