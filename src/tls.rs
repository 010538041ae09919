//! Certificates and trust, out of files and options.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, KeyLogFile, RootCertStore, ServerConfig, SignatureScheme,
    WantsVerifier,
};

use crate::cli::RunOptions;
use crate::config::{ClientTls, ServerFiles, ServerTls, cannot_read};
use crate::error::Error;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS towards `https` upstreams.
///
/// # Errors
/// A file that can't be read or holds something else than it should.
pub fn towards_upstream(options: &RunOptions) -> Result<ClientTls, Error> {
    let insecure = options.insecure.is_on();
    let with_roots = if insecure {
        let algorithms = provider().signature_verification_algorithms;
        builder()?.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
    } else {
        trusting("--cacert", options.cacert.as_deref())?
    };
    let mut config = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => with_roots
            .with_client_auth_cert(certificates("--cert", cert)?, private_key("--key", key)?)
            .map_err(|error| mismatch("--cert", cert, &error))?,
        _ => with_roots.with_no_client_auth(),
    };
    if options.tls_key_log.is_on() {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(ClientTls { config: Arc::new(config), verifies: !insecure })
}

/// TLS towards servers that publish keys: no certificate of our own is shown, and theirs are always verified.
///
/// # Errors
/// A file that can't be read or holds something else than it should.
pub fn towards_publishers(cacert: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    Ok(Arc::new(trusting("--cacert", cacert)?.with_no_client_auth()))
}

/// TLS towards a collector of telemetry, whose authorities the environment may name.
///
/// # Errors
/// A file that can't be read or holds something else than it should.
#[cfg(feature = "otel")]
pub fn towards_collector(certificate: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    Ok(Arc::new(trusting("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)?.with_no_client_auth()))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::run(format!("cannot set up TLS: {error}")))
}

/// Trusts the authorities of that file, or those of the platform.
fn trusting(option: &str, cacert: Option<&Path>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    if let Some(path) = cacert {
        return Ok(builder()?.with_root_certificates(roots(option, path)?));
    }
    match builder()?.try_with_platform_verifier() {
        Ok(builder) => Ok(builder),
        // An image without a store of its own gets Mozilla's.
        Err(error) => {
            tracing::info!("no trust roots on this machine, using Mozilla's: {error}");
            Ok(builder()?.with_webpki_roots())
        }
    }
}

/// TLS towards clients, if it was asked for. A certificate that is made at start is for `names` and this machine's own.
///
/// # Errors
/// A file that can't be read or holds something else than it should.
pub fn towards_clients(options: &RunOptions, names: &[String]) -> Result<Option<ServerTls>, Error> {
    let (chain, key, source) = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => {
            (certificates("--tls-cert", cert)?, private_key("--tls-key", key)?, cert.display().to_string())
        }
        _ if options.tls.is_on() => {
            let (chain, key) = self_signed(names)?;
            (chain, key, "the certificate made at start".to_owned())
        }
        _ => return Ok(None),
    };
    server_config(chain, key, Path::new(&source), options.tls_key_log.is_on())
        .map(|config| Some(ServerTls::new(config)))
}

/// Reads the certificate towards clients again.
///
/// # Errors
/// A file that can't be read or holds something else than it should.
pub fn renewed(files: &ServerFiles) -> Result<ServerConfig, Error> {
    let (chain, key) = (certificates("--tls-cert", &files.cert)?, private_key("--tls-key", &files.key)?);
    server_config(chain, key, &files.cert, files.logs_keys)
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    source: &Path,
    logs_keys: bool,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::run(format!("cannot set up TLS: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| mismatch("--tls-cert", source, &error))?;
    if logs_keys {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(config)
}

fn self_signed(names: &[String]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
    let made = rcgen::generate_simple_self_signed(all)
        .map_err(|error| Error::run(format!("cannot make a certificate for --tls: {error}")))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| Error::run(format!("cannot make a key for --tls: {error}")))?;
    Ok((vec![made.cert.der().clone()], key))
}

fn roots(option: &str, path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(option, path)? {
        roots.add(certificate).map_err(|error| mismatch(option, path, &error))?;
    }
    Ok(roots)
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = std::fs::read(path).map_err(|error| cannot_read(option, path, &error))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::run(format!("{option}: {} holds no certificate in PEM", path.display()))
            .advice("give a file with -----BEGIN CERTIFICATE----- in it")),
        Err(error) => Err(Error::run(format!("{option}: {} is no valid PEM: {error}", path.display()))
            .advice("give a file with -----BEGIN CERTIFICATE----- in it")),
    }
}

fn private_key(option: &str, path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = std::fs::read(path).map_err(|error| cannot_read(option, path, &error))?;
    // The library's error is left out: it could repeat something of the key.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        Error::run(format!("{option}: {} holds no private key in PEM", path.display()))
            .advice("give a file with -----BEGIN PRIVATE KEY----- in it, without a passphrase")
    })
}

fn mismatch(option: &str, path: &Path, error: &rustls::Error) -> Error {
    Error::run(format!("{option}: {} can't be used: {error}", path.display()))
        .advice("check that certificate and key belong together and that the certificate is an X.509 v3 one")
}

/// Takes any certificate, for `--insecure`; the handshake itself is still checked.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
