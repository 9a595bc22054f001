//! Endpoints whose TLS is not as it should be. The certificates' authority has signed nothing else, and its key is gone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use stateward_testkit::{AwsEnv, Moto, TestDir};

use crate::cli;

const KEY: &[u8] = include_bytes!("certificates/key.pem");
const AUTHORITY: &str = include_str!("certificates/authority.pem");
const AS_AUTHORITY: &str = include_str!("certificates/as-authority.pem");

/// A server that shows this certificate, and whose service is down. It ends with the test's process.
fn showing(certificate: &str) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap());
    let (config, listener) = (Arc::new(config.unwrap()), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            thread::spawn(move || {
                let mut stream = StreamOwned::new(connection, stream);
                // Who does not like the certificate asks for nothing.
                if stream.read(&mut [0; 4096]).is_ok() {
                    let _left =
                        stream.write_all(b"HTTP/1.1 500 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    stream.conn.send_close_notify();
                    let _left = stream.flush();
                }
            });
        }
    });
    address
}

/// Each is told as what it is, with what helps against it.
#[test]
fn a_certificate_that_is_wrong() {
    let dir = TestDir::new();
    let bundle = dir.write("bundle.pem", format!("{AUTHORITY}{AS_AUTHORITY}"));
    let bundle = format!("custom_ca_bundle={}", bundle.display());
    let at = |certificate: &str| format!("https://{}", showing(certificate));
    let plain = Moto::shared().url().replace("http://", "https://");
    for (url, trusts, title, fix) in [
        (at(include_str!("certificates/good.pem")), true, "the service answers with errors", "check the endpoint"),
        (at(include_str!("certificates/good.pem")), false, "The certificate was not taken", "`custom_ca_bundle`"),
        (at(include_str!("certificates/expired.pem")), true, "the endpoint's certificate has expired", "renew it"),
        (at(include_str!("certificates/early.pem")), true, "the endpoint's certificate is not valid yet", "clock"),
        (at(include_str!("certificates/elsewhere.pem")), true, "is for another name", "in its URL"),
        (at(AS_AUTHORITY), true, "is one of an authority", "CA:FALSE"),
        (plain, true, "the endpoint speaks no TLS", "`http://`"),
    ] {
        let mut arguments = vec!["doctor", "--bucket", "states", "--key", "k", "--use-lockfile", "--json"];
        arguments.extend(["--backend-config", "max_retries=1"]);
        if trusts {
            arguments.extend(["--backend-config", &bundle]);
        }
        let env = AwsEnv::new().s3(&url).dynamodb(&url).others(&url);
        let output = cli(&dir, &env).run(&arguments).expect_code(1);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap();
        let items = answer["items"].as_array().unwrap();
        let failed: Vec<&Value> = items.iter().filter(|item| item["status"] == "fail").collect();
        let [told] = failed.as_slice() else { panic!("{}", output.report()) };
        assert_eq!(told["check"], "endpoint");
        let (said, next) = (told["title"].as_str().unwrap(), told["fix"].as_str().unwrap());
        assert!(said.ends_with(title) && next.contains(fix), "{title:?}: {told:#}");
    }
}
