//! TLS towards MQTT and InfluxDB: rustls with ring; whom we trust and who we are.
//!
//! Certificates are read anew for every connection, so that renewed ones need no restart. There is no switch to turn
//! the verification off. (Kafka brings its own TLS, but takes the same three keys.)

use crate::secret::unreadable;
use crate::section::Section;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `ca_file`, `cert_file`, `key_file`: all PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Whom to trust, instead of the system's authorities.
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate (with its chain) and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// Takes the three keys; a certificate without its key, or the reverse, is reported.
    pub(crate) fn take(section: &mut Section<'_, '_>) -> Self {
        let ca = section.take("ca_file");
        let cert = section.take_spanned::<PathBuf>("cert_file");
        let key = section.take_spanned::<PathBuf>("key_file");
        let lone = |present: &str, absent: &str| {
            (format!("[{}] has `{present}`, but no `{absent}`", section.name()), format!("add {absent} = \"…\""))
        };
        let (place, (message, help)) = match (cert, key) {
            (Some(cert), Some(key)) => return Self { ca, identity: Some((cert.into_inner(), key.into_inner())) },
            (None, None) => return Self { ca, identity: None },
            (Some(cert), None) => (cert.span(), lone("cert_file", "key_file")),
            (None, Some(key)) => (key.span(), lone("key_file", "cert_file")),
        };
        section.report(place, message, "useless alone", Some(help));
        Self { ca, identity: None }
    }

    /// Whether any of the three was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.ca.is_none() && self.identity.is_none()
    }

    /// What rustls needs to connect; or what is wrong with which file.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS: {e}"))?
            .with_root_certificates(self.roots()?);
        let Some((cert, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| explain(key, &e))?;
        builder
            .with_client_auth_cert(certificates(cert)?, private)
            .map_err(|e| format!("{} and {} cannot be used together: {e}", cert.display(), key.display()))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let (found, place) = match &self.ca {
            Some(path) => (certificates(path)?, path.display().to_string()),
            None => (rustls_native_certs::load_native_certs().certs, "this machine".to_owned()),
        };
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(found);
        if usable == 0 {
            return Err(format!(
                "{place} has no certificate authority to trust: set `ca_file`, or install ca-certificates"
            ));
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    all.map_err(|e| explain(path, &e))
}

fn explain(path: &Path, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => unreadable(path, error),
        other => format!("{} is not what it should be (a PEM file): {other}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::{Problem, Problems};
    use toml::de::DeTable;

    fn take(text: &str) -> (Files, Vec<Problem>) {
        let problems = Problems::default();
        let table = DeTable::parse(text).unwrap();
        let mut section = Section::new("sink.plant", table.span(), table.into_inner(), &problems);
        let files = Files::take(&mut section);
        (files, problems.into_sorted())
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let (_, problems) = take("cert_file = 'client.pem'");
        assert_eq!(problems[0].message, "[sink.plant] has `cert_file`, but no `key_file`");
        let (files, problems) = take("cert_file = 'client.pem'\nkey_file = 'client.key'");
        assert!(problems.is_empty());
        assert_eq!(files.identity, Some(("client.pem".into(), "client.key".into())));
    }

    #[test]
    fn a_file_that_is_missing_or_something_else_is_named() {
        let (files, _) = take("ca_file = '/nonexistent/ca.pem'");
        let why = files.client_config().unwrap_err();
        assert!(why.contains("/nonexistent/ca.pem cannot be read"), "{why}");
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, "hello").unwrap();
        let why = Files { ca: Some(ca), identity: None }.client_config().unwrap_err();
        assert!(why.contains("no certificate authority to trust"), "{why}");
    }
}
