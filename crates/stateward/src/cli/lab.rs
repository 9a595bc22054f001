//! The arguments of `stateward lab`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// Who there is, and which policies have a say: TOML or JSON. Files of policies are looked for beside it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The address of this machine to listen on; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7018")]
    pub(crate) listen: SocketAddr,
    /// The server that does what is allowed, such as moto; else `upstream.url` of the file.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The server for DynamoDB, where it is another, such as DynamoDB Local; else `upstream.dynamodb` of the file.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream_dynamodb: Option<String>,
    /// Let the servers that do what is allowed be on other machines.
    #[arg(long)]
    pub(crate) upstream_elsewhere: bool,
}
