//! Mutual TLS between the nodes of a permissioned network: the listener and the client show this node's certificate and
//! ask for one of the same certificate authority. Who a node is still goes by its node key.

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::{path::Path, path::PathBuf, sync::Arc};

/// This node's certificate, and whose certificates are believed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// A certificate or key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or is not PEM.
    #[error("{key} = {}: {reason}; it has to be {expected} in PEM form", file.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What belongs there.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate, key and authority do not belong together.
    #[error("peers.tls_cert = {} and peers.tls_key = {}: {reason}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The authority's certificates cannot be used.
    #[error("peers.tls_ca = {}: {reason}", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Tls {
    /// Reads the files behind `peers.tls_cert` (with intermediate certificates, if any), `peers.tls_key` and
    /// `peers.tls_ca`. The process must have installed a rustls crypto provider.
    pub fn read(cert: &Path, key: &Path, ca: &Path) -> Result<Self, TlsError> {
        let chain = certificates("peers.tls_cert", cert)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
            key: "peers.tls_key",
            file: key.to_owned(),
            expected: "a private key",
            reason: error.to_string(),
        })?;
        let authority = |reason: String| TlsError::Authority { file: ca.to_owned(), reason };
        let mut roots = RootCertStore::empty();
        for root in certificates("peers.tls_ca", ca)? {
            roots.add(root).map_err(|error| authority(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let guests = WebPkiClientVerifier::builder(roots.clone()).build();
        let guests = guests.map_err(|error| authority(error.to_string()))?;
        let hosts = WebPkiServerVerifier::builder(roots).build().map_err(|error| authority(error.to_string()))?;
        let pair = |error: rustls::Error| TlsError::Pair {
            cert: cert.to_owned(),
            key: key.to_owned(),
            reason: error.to_string(),
        };
        let server = ServerConfig::builder().with_client_cert_verifier(guests);
        let server = server.with_single_cert(chain.clone(), secret.clone_key()).map_err(pair)?;
        let client = ClientConfig::builder().with_webpki_verifier(hosts);
        let client = client.with_client_auth_cert(chain, secret).map_err(pair)?;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    pub(super) fn client(&self) -> ClientConfig {
        ClientConfig::clone(&self.client)
    }

    pub(super) fn server(&self) -> ServerConfig {
        ServerConfig::clone(&self.server)
    }
}

/// For connections without TLS.
pub(super) fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |reason: String| TlsError::File { key, file: file.to_owned(), expected: "a certificate", reason };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| fail(error.to_string()))?;
    if found.is_empty() { Err(fail("no certificate is in it".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_discovery::chain_identity;
    use crate::transport::client::{CallError, Pace, PeerClient, Reach};
    use crate::transport::testing::{TestChain, TestNode, client, identity};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            rustls::crypto::ring::default_provider().install_default().ok();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        /// Writes a node's files, and reads them as a node does. `ca`: whom the node believes.
        fn issue(&self, folder: &Path, ca: &Self) -> Result<Tls, TlsError> {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            let cert = params.signed_by(&key, &self.0).unwrap();
            let [cert_file, key_file, ca_file] = ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.join(name));
            std::fs::write(&cert_file, cert.pem()).unwrap();
            std::fs::write(&key_file, key.serialize_pem()).unwrap();
            std::fs::write(&ca_file, ca.0.pem()).unwrap();
            Tls::read(&cert_file, &key_file, &ca_file)
        }
    }

    fn client_with(tls: Tls) -> PeerClient {
        PeerClient::new(Pace::default(), Some(tls)).unwrap()
    }

    async fn hello(client: &PeerClient, node: &TestNode, chain: &TestChain) -> Result<(), CallError> {
        let (us, id) = (identity(2, &chain.genesis), chain_identity(&chain.genesis));
        let session = client.hello(&node.url, Reach::Anywhere, &us, id, None).await?;
        session.status().await.map(|_| ())
    }

    #[actix_rt::test]
    async fn nodes_with_certificates_of_one_authority_talk_and_nobody_else_does() {
        let (ours, theirs, folder) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
        let chain = TestChain::new();
        let tls = ours.issue(folder.path(), &ours).unwrap();
        let node = TestNode::start_at("127.0.0.1:0", 1, &chain.genesis, chain.store.clone(), Some(tls.clone())).await;
        assert!(node.url.to_string().starts_with("https://"));
        hello(&client_with(ours.issue(folder.path(), &ours).unwrap()), &node, &chain).await.unwrap();

        let stranger = client_with(theirs.issue(folder.path(), &ours).unwrap());
        assert!(hello(&stranger, &node, &chain).await.is_err(), "its certificate is of another authority");
        let suspicious = client_with(ours.issue(folder.path(), &theirs).unwrap());
        assert!(hello(&suspicious, &node, &chain).await.is_err(), "it does not believe this node's certificate");
        assert!(hello(&client(), &node, &chain).await.is_err(), "it shows no certificate");
        let certs = ours.0.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certs).unwrap();
        let bare = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let bare = reqwest::Client::builder().tls_backend_preconfigured(bare).build().unwrap();
        assert!(bare.get(node.url.route("status")).send().await.is_err(), "even the status is for nodes only");
        let plain = format!("http://{}/peer/v1/status", node.server.address());
        assert!(bare.get(plain).send().await.is_err(), "nor is it told in the clear");
    }

    #[test]
    fn files_of_no_use_are_named_with_their_key() {
        let (ours, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        ours.issue(folder.path(), &ours).unwrap();
        let file = |name: &str| folder.path().join(name);
        let (cert, key, ca) = (file("cert.pem"), file("key.pem"), file("ca.pem"));
        let other = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(file("other.pem"), other).unwrap();
        std::fs::write(file("empty.pem"), "nothing").unwrap();
        for (cert, key, ca, named) in [
            (file("none.pem"), key.clone(), ca.clone(), "peers.tls_cert"),
            (file("empty.pem"), key.clone(), ca.clone(), "peers.tls_cert"),
            (cert.clone(), cert.clone(), ca.clone(), "peers.tls_key"),
            (cert.clone(), key.clone(), file("empty.pem"), "peers.tls_ca"),
            (cert.clone(), file("other.pem"), ca.clone(), "peers.tls_key"),
        ] {
            let error = Tls::read(&cert, &key, &ca).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
