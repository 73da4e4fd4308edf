//! An MQTT 5 broker: where it is, who we are to it, and what it means when it says no. What is said over the connection is
//! the business of the sink and the source that have one.

use crate::secret::{self, Login};
use crate::section::{Section, Span};
use crate::tls;
use reqwest::Url;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, MqttOptions, StateError};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use std::sync::Arc;
use std::time::Duration;

/// How to connect to a broker.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    host: String,
    port: u16,
    tls: Option<tls::Files>,
    login: Option<Login>,
    client_id: String,
    keep_alive: Duration,
}

impl Broker {
    /// Takes `url`, `ca_file`, `cert_file`, `key_file`, `username`, `password_file` or `password_env`, `client_id` and
    /// `keep_alive`.
    pub(crate) fn read(section: &mut Section<'_, '_>, client_id: String) -> Option<Self> {
        let address = read_url(section);
        let tls = tls::Files::take(section);
        let login = Login::take(section);
        let client_id = section.take("client_id").unwrap_or(client_id);
        let keep_alive =
            section.take_checked("keep_alive", "must be 5s to 10m", |s: &Span| (5..=600).contains(&s.0.as_secs()));
        let keep_alive = keep_alive.map_or(Duration::from_secs(15), |s| s.0);
        let (host, port, secure) = address?;
        if !secure && !tls.is_empty() {
            let help = Some("write mqtts:// in `url`, or take ca_file, cert_file and key_file out".into());
            section.report(
                section.place(),
                "certificates are of no use without TLS",
                "`url` begins with mqtt://",
                help,
            );
        }
        Some(Self { host, port, tls: secure.then_some(tls), login, client_id, keep_alive })
    }

    /// A broker on this machine.
    #[cfg(test)]
    pub(crate) fn local(port: u16, client_id: &str) -> Self {
        let (host, client_id) = ("127.0.0.1".into(), client_id.into());
        Self { host, port, tls: None, login: None, client_id, keep_alive: Duration::from_secs(5) }
    }

    /// Everything for one connection without a past; secrets and certificates are read anew.
    pub(crate) fn options(&self) -> Result<MqttOptions, String> {
        let mut options = MqttOptions::new(&self.client_id, &self.host, self.port);
        options.set_keep_alive(self.keep_alive).set_clean_start(true);
        // Otherwise an alarm behind unacknowledged data waits for the peer's delayed acknowledgement: 40 ms and more.
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        if let Some(files) = &self.tls {
            let config = Arc::new(files.client_config()?);
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        if let Some(login) = &self.login {
            options.set_credentials(&login.user, login.password()?);
        }
        Ok(options)
    }
}

/// Host, port, and whether it is to be TLS.
fn read_url(section: &mut Section<'_, '_>) -> Option<(String, u16, bool)> {
    const EXAMPLE: &str = "\"mqtt://127.0.0.1:1883\"";
    if !section.has("url") {
        section.require::<String>("url", EXAMPLE);
        return None;
    }
    let text = section.take_spanned::<String>("url")?;
    let parsed = Url::parse(text.get_ref()).ok();
    let secure = parsed.as_ref().map(Url::scheme).and_then(|scheme| match scheme {
        "mqtt" => Some(false),
        "mqtts" => Some(true),
        _ => None,
    });
    let host = parsed.as_ref().and_then(Url::host_str).map(|h| h.trim_matches(['[', ']']).to_owned());
    let (Some(secure), Some(host)) = (secure, host.filter(|h| !h.is_empty())) else {
        let message = format!("`url` in [{}] is not the address of an MQTT broker", section.name());
        section.report(text.span(), message, "not of the form mqtt://HOST:PORT or mqtts://HOST:PORT", None);
        return None;
    };
    let url = parsed?;
    secret::refuse_in_url(section, text.span(), &url);
    Some((host, url.port().unwrap_or(if secure { 8883 } else { 1883 }), secure))
}

/// A connection's end in words that a technician can act on.
pub(crate) fn explain(error: &ConnectionError, client_id: &str) -> String {
    match error {
        ConnectionError::Io(error) => format!("the broker cannot be reached: {error}; is it running, is `url` right?"),
        ConnectionError::Timeout(_) => {
            "the broker does not answer; is `url` right, does a firewall stand between?".into()
        }
        ConnectionError::Tls(error) => {
            format!("no TLS connection to the broker: {error}; look at ca_file, cert_file and key_file")
        }
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let said = reason_string.as_deref().unwrap_or_default();
            disconnected(*reason_code, said, client_id)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker has stopped answering".into(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "the broker closed the connection; its log says why (a certificate it does not trust, a limit)".into()
        }
        other => broken(&other.to_string()),
    }
}

/// TLS 1.3 refuses a client's certificate only after the handshake: the alert arrives as a broken connection.
fn broken(error: &str) -> String {
    let remedy = match error.contains("fatal alert") {
        true => "does the broker trust our cert_file?",
        false => "if it does so again and again, the broker's log says why (a topic that its ACL denies, a limit)",
    };
    format!("the connection to the broker broke: {error}; {remedy}")
}

fn refused(code: ConnectReturnCode) -> String {
    let remedy = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "check `username` and `password_file`"
        }
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => "set another `client_id`",
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            "the broker must speak MQTT 5"
        }
        ConnectReturnCode::Banned => "the broker has banned this client",
        _ => "look into the broker's log",
    };
    format!("the broker refuses the connection ({code:?}): {remedy}")
}

fn disconnected(code: DisconnectReasonCode, said: &str, client_id: &str) -> String {
    let remedy = match code {
        DisconnectReasonCode::SessionTakenOver => {
            format!("another client uses the client id {client_id}: give each gateway its own `id`")
        }
        DisconnectReasonCode::PacketTooLarge => "a record is larger than the broker allows".into(),
        _ => "look into the broker's log".into(),
    };
    format!("the broker ended the connection ({code:?}) {said}: {remedy}")
}
