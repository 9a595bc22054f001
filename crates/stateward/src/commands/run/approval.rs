//! Asking as Terraform would.

use std::io::BufRead;

use tokio::sync::oneshot;

use super::Commands;
use crate::failure::Result;
use crate::output;

/// What came of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// A signal came first: end with this code.
    Ended(u8),
}

const QUESTION: &str = "\nDo you want to perform these actions?\n  \
    The actions described above will be performed.\n  Only 'yes' will be accepted to approve.\n\n  Enter a value: ";

/// Asks on standard output and reads a line of standard input.
pub(super) async fn ask(commands: &mut Commands<'_>) -> Result<Answer> {
    output::text(QUESTION)?;
    let (send, receive) = oneshot::channel();
    // A thread of its own: the runtime would wait for one of its own to come back before it ends.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).is_ok();
        // Nobody waits for it any more where a signal came first.
        let _unheard = send.send(read && line.trim() == "yes");
    });
    let answer = tokio::select! {
        answer = receive => if answer == Ok(true) { Answer::Yes } else { Answer::No },
        code = commands.asked_to_end() => Answer::Ended(code),
    };
    output::text("\n")?;
    Ok(answer)
}
