//! `provisioning token …`

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Payload};
use super::table::encoded;
use super::{Connection, table};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token; it is shown now and never again.
    #[command(after_help = "Examples:
  provisioning token create anna@laptop
  provisioning token create monitoring --read-only --expires 90d")]
    Create(CreateArgs),
    /// List the tokens, and when each was last used.
    #[command(after_help = "Example:\n  provisioning token list")]
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make a token worthless, at once; sessions that were opened with it end.
    #[command(after_help = "Example:\n  provisioning token revoke anna@laptop")]
    Revoke {
        /// The token's name or id.
        token: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// What it is for; no two tokens in force have the same name.
    name: String,
    /// It may look at everything that is not secret, and change nothing.
    #[arg(long)]
    read_only: bool,
    /// How long it is good: a number and h, d or w. Without this until it is revoked.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::List { json, connection } => list(json, &connection).await,
        TokenCommand::Revoke { token, connection } => {
            let client = Client::open(&connection).await?;
            client.delete(&format!("/api/tokens/{}", encoded(&token))).await?;
            say(&format!("{token} is revoked"))
        }
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let scope = if args.read_only { "read" } else { "full" };
    let body = json!({ "name": args.name, "scope": scope, "expires_in": args.expires });
    let made = client.post("/api/tokens", Payload::Json(body)).await?;
    if args.json {
        return table::print_json(&made);
    }
    // The token alone on stdout, so that it can be piped into a file.
    writeln!(io::stderr().lock(), "{} is shown only now:", args.name)?;
    say(made.get("token").and_then(Value::as_str).unwrap_or_default())
}

async fn list(json: bool, connection: &Connection) -> anyhow::Result<()> {
    let answer = Client::open(connection).await?.get("/api/tokens").await?;
    if json {
        return table::print_json(&answer);
    }
    let rows = answer.get("tokens").and_then(Value::as_array).cloned().unwrap_or_default();
    let columns = [
        ("NAME", "name"),
        ("SCOPE", "scope"),
        ("STATE", "state"),
        ("CREATED", "created"),
        ("EXPIRES", "expires"),
        ("LAST USED", "last_used"),
        ("ID", "id"),
    ];
    table::print(&rows, &columns)?;
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}
