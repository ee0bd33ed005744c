//! What the `Shell` contract says: commands, their outputs and their limits.

use std::time::Duration;

use tokio::time::{interval, timeout};

use super::super::rule::Checked;
use super::{RemoteShellFixture, login, run, run_known_commands};
use crate::model::Secret;
use crate::ports::{Command, Output, Shell, ShellError};

/// In their order each, to the last byte, also after the exit status.
pub async fn both_outputs_arrive_whole(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let login = login(fixture, &shell).await;
    if !fixture.capabilities().any_command {
        run_known_commands(fixture, &*login).await;
        return Ok(());
    }
    let line = "seq 200000; seq 200000 -1 1 >&2; (while kill -0 $$ 2>/dev/null; do :; done; echo late) & exit 7";
    let command = Command { output_limit_bytes: 8 << 20, ..Command::new(line) };
    let output = login.run(&command).await?;
    let numbers: Vec<String> = (1..=200_000).map(|n| n.to_string()).collect();
    assert_eq!(output.status, 7);
    assert!(output.stdout == numbers.join("\n") + "\nlate\n");
    let backwards: Vec<String> = numbers.into_iter().rev().collect();
    assert!(output.stderr == backwards.join("\n") + "\n");
    Ok(())
}

/// Of the command, or 128 + n when signal n ended it.
pub async fn the_exit_status_arrives(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let login = login(fixture, &shell).await;
    if !fixture.capabilities().any_command {
        run_known_commands(fixture, &*login).await;
        return Ok(());
    }
    for (line, status) in [("true", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
        let output = run(&*login, line).await;
        assert_eq!(output, Output { status, stdout: String::new(), stderr: String::new() }, "{line}");
    }
    Ok(())
}

/// To the last byte, whatever it holds; a command that does not read it ends all the same.
pub async fn stdin_is_fed_and_closed(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let login = login(fixture, &shell).await;
    if !fixture.capabilities().any_command {
        run_known_commands(fixture, &*login).await;
        return Ok(());
    }
    let odd = "first 'line'\r\n\0\u{1}\u{7f}$(reboot) `x` \\ \u{fffd}\u{1f5a5} without an end".repeat(20_000);
    let command = Command { output_limit_bytes: odd.len(), ..Command::new("cat") };
    let output = login.run(&command.with_stdin(Secret::new(odd.clone()))).await?;
    assert_eq!(output.status, 0);
    assert!(output.stdout == odd, "{} of {} bytes came back", output.stdout.len(), odd.len());
    assert_eq!(run(&*login, "cat; echo end").await.stdout, "end\n");
    let unread = Command::new("echo deaf").with_stdin(Secret::new(odd.repeat(4)));
    assert_eq!(login.run(&unread).await?.stdout, "deaf\n");
    Ok(())
}

/// With `TimedOut`, and the login serves the next command. Not checked on a host that runs known commands only.
pub async fn a_command_over_its_time_is_given_up(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let login = login(fixture, &shell).await;
    if !fixture.capabilities().any_command {
        return Ok(());
    }
    let limit = Duration::from_millis(300);
    for line in ["exec sleep 40", "exec yes >&2", "exec 0<&- 1>&- 2>&-; exec sleep 40"] {
        let command = Command { time_limit: limit, output_limit_bytes: usize::MAX, ..Command::new(line) };
        let result = timeout(Duration::from_secs(10), login.run(&command)).await?;
        assert!(matches!(result, Err(ShellError::TimedOut { limit: told }) if told == limit), "{line}: {result:?}");
    }
    assert_eq!(run(&*login, "echo alive").await.stdout, "alive\n");
    Ok(())
}

/// With `TooMuchOutput`, and what just fits is no error.
pub async fn output_over_the_limit_is_an_error(fixture: &impl RemoteShellFixture) -> Checked {
    const MANY: usize = 20_000_000;
    let shell = fixture.fresh().await;
    let login = login(fixture, &shell).await;
    if !fixture.capabilities().any_command {
        return known_output_over_the_limit(fixture, &*login).await;
    }
    for to in ["", " >&2"] {
        let line = format!("head -c {MANY} /dev/zero{to}");
        let command = Command { output_limit_bytes: MANY, ..Command::new(line) };
        let output = login.run(&command).await?;
        assert_eq!(output.stdout.len() + output.stderr.len(), MANY);
        let result = login.run(&Command { output_limit_bytes: MANY - 1, ..command }).await;
        assert!(matches!(result, Err(ShellError::TooMuchOutput { limit_bytes }) if limit_bytes == MANY - 1));
    }
    let endless = login.run(&Command { output_limit_bytes: 1000, ..Command::new("yes") }).await;
    assert!(matches!(endless, Err(ShellError::TooMuchOutput { limit_bytes: 1000 })));
    assert_eq!(run(&*login, "echo alive").await.stdout, "alive\n");
    Ok(())
}

/// Each command has its own output.
pub async fn commands_follow_one_another(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let login = login(fixture, &shell).await;
    if !fixture.capabilities().any_command {
        run_known_commands(fixture, &*login).await;
        return Ok(());
    }
    for n in 0..5 {
        assert_eq!(run(&*login, &format!("echo {n}; echo {n}{n} >&2")).await.stderr, format!("{n}{n}\n"));
    }
    login.close().await;
    Ok(())
}

/// With `Disconnected`, while a command runs and afterwards, never an empty success.
pub async fn a_lost_connection_is_an_error(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let used = login(fixture, &shell).await;
    if fixture.capabilities().any_command {
        let watching = login(fixture, &shell).await;
        let begun = run(&*watching, "mktemp -d").await.stdout.trim().to_owned();
        let command = Command::new(format!("echo whole; rmdir {begun}; exec sleep 40"));
        let breaking = async {
            let mut look = interval(Duration::from_millis(5));
            while run(&*watching, &format!("test -e {begun}")).await.status == 0 {
                look.tick().await;
            }
            fixture.break_connections();
        };
        let (result, ()) = tokio::join!(used.run(&command), breaking);
        assert!(matches!(result, Err(ShellError::Disconnected { .. })), "{result:?}");
    } else {
        fixture.break_connections();
    }
    let after = used.run(&Command::new("true")).await;
    assert!(matches!(after, Err(ShellError::Disconnected { .. })), "{after:?}");
    Ok(())
}

/// What the host knows, each allowed a byte less than it says.
async fn known_output_over_the_limit(fixture: &impl RemoteShellFixture, login: &dyn Shell) -> Checked {
    for (command, output) in fixture.known_commands() {
        let said = output.stdout.len().max(output.stderr.len());
        let Some(limit) = said.checked_sub(1) else { continue };
        let result = login.run(&Command { output_limit_bytes: limit, ..command }).await;
        assert!(matches!(result, Err(ShellError::TooMuchOutput { limit_bytes }) if limit_bytes == limit), "{result:?}");
    }
    Ok(())
}
