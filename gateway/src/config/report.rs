//! How the problems of a configuration are shown: the line, the spot underlined, what to do.

use crate::section::{Problem, Problems};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;
use std::path::Path;

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub struct Report {
    name: String,
    text: String,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(name: &str, text: &str, problems: Problems) -> Self {
        Self { name: name.into(), text: text.into(), problems: problems.into_sorted() }
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "name the file with --config FILE; `weir demo` needs none".to_owned(),
            std::io::ErrorKind::PermissionDenied => "the user that runs weir must be allowed to read it".to_owned(),
            std::io::ErrorKind::InvalidData => "save it as UTF-8 text".to_owned(),
            _ => "check the disk".to_owned(),
        };
        Self::without_text(path, format!("the configuration {} cannot be read: {error}", path.display()), help)
    }

    pub(super) fn too_large(path: &Path, size: u64) -> Self {
        Self::without_text(
            path,
            format!("{} has {size} bytes; a configuration has at most 4 MiB", path.display()),
            "is this the right file?".to_owned(),
        )
    }

    fn without_text(path: &Path, message: String, help: String) -> Self {
        let problem = Problem { message, label: String::new(), place: 0..0, help: Some(help) };
        Self { name: path.display().to_string(), text: String::new(), problems: vec![problem] }
    }

    /// The problems, in file order.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The report for a terminal (`color`) or a log.
    pub fn render(&self, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let show = GraphicalReportHandler::new_themed(theme).with_width(100).with_context_lines(1);
        let mut out = String::new();
        for problem in &self.problems {
            // Writing into a String cannot fail.
            let _ = show.render_report(&mut out, &Shown::new(self, problem));
            out.push('\n');
        }
        let count = self.problems.len();
        out.push_str(&format!("{count} problem{} in {}\n", if count == 1 { "" } else { "s" }, self.name));
        out
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// One problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: Option<NamedSource<String>>,
}

impl<'a> Shown<'a> {
    fn new(report: &Report, problem: &'a Problem) -> Self {
        let source = (!report.text.is_empty()).then(|| NamedSource::new(&report.name, report.text.clone()));
        Self { problem, source }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        let label = LabeledSpan::new_with_span(Some(self.problem.label.clone()), self.problem.place.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
