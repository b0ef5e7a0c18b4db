//! The rows about stores that misbehave.

use super::rows::{Answer, Client, Fault, Gets, Kept, LARGE, Operation, Row, SMALL, good};
use crate::support::server::Reply;
use crate::support::store::error;

pub(super) fn stores() -> Vec<Row> {
    use Operation::{Abort, Complete, Create, Part, Put, Read};
    vec![
        store("store answers 403 to a PUT", SMALL, |of, _| at(of == Put, 403), Kept::Nothing),
        store(
            "store answers 409 to a PUT, once",
            SMALL,
            |of, n| at(of == Put && n < 1, 409),
            Kept::All,
        ),
        store(
            "store answers 409 to a PUT, always",
            SMALL,
            |of, _| at(of == Put, 409),
            Kept::Nothing,
        ),
        store("store answers 412 to a PUT", SMALL, |of, _| at(of == Put, 412), Kept::Nothing),
        store(
            "store answers 500 to a PUT, twice",
            SMALL,
            |of, n| at(of == Put && n < 2, 500),
            Kept::All,
        ),
        store(
            "store answers 503 to a PUT, always",
            SMALL,
            |of, _| at(of == Put, 503),
            Kept::Nothing,
        ),
        store(
            "store takes a PUT, and its answer is lost",
            SMALL,
            |of, n| if of == Put && n == 0 { Answer::OwnUnheard } else { Answer::Own },
            Kept::All,
        ),
        store("store hangs in a PUT, always", SMALL, |of, _| hang(of == Put), Kept::Nothing),
        store("store answers 403 to a create", LARGE, |of, _| at(of == Create, 403), Kept::Nothing),
        store(
            "store answers 503 to a create, twice",
            LARGE,
            |of, n| at(of == Create && n < 2, 503),
            Kept::All,
        ),
        store(
            "store makes an upload, and its answer is lost",
            LARGE,
            |of, n| if of == Create && n == 0 { Answer::OwnUnheard } else { Answer::Own },
            Kept::All,
        ),
        store(
            "store makes an upload, and answers with nothing readable",
            LARGE,
            |of, n| match (of, n) {
                (Create, 0) => Answer::OwnOtherwise(Reply::new(200, &[], "")),
                _ => Answer::Own,
            },
            Kept::All,
        ),
        store(
            "store makes an upload, and who stands before it answers 504",
            LARGE,
            |of, n| match (of, n) {
                (Create, 0) => Answer::OwnOtherwise(error(504, "GatewayTimeout", "POST")),
                _ => Answer::Own,
            },
            Kept::All,
        ),
        store(
            "store makes uploads, and all its answers are lost",
            LARGE,
            |of, _| if of == Create { Answer::OwnUnheard } else { Answer::Own },
            Kept::Nothing,
        ),
        store("store answers 403 to a part", LARGE, |of, _| at(of == Part(2), 403), Kept::Nothing),
        store(
            "store answers 500 to a part, twice",
            LARGE,
            |of, n| at(of == Part(2) && n < 2, 500),
            Kept::All,
        ),
        store(
            "store answers 503 to a part, always",
            LARGE,
            |of, _| at(of == Part(2), 503),
            Kept::Nothing,
        ),
        store(
            "store hangs in a part, once",
            LARGE,
            |of, n| hang(of == Part(2) && n < 1),
            Kept::All,
        ),
        store("store hangs in a part, always", LARGE, |of, _| hang(of == Part(1)), Kept::Nothing),
        store(
            "store answers 403 to a completion",
            LARGE,
            |of, _| at(of == Complete, 403),
            Kept::Nothing,
        ),
        store(
            "store answers 409 to a completion, once",
            LARGE,
            |of, n| at(of == Complete && n < 1, 409),
            Kept::All,
        ),
        store(
            "store answers 412 to a completion",
            LARGE,
            |of, _| at(of == Complete, 412),
            Kept::Nothing,
        ),
        store(
            "store answers 500 to a completion, always",
            LARGE,
            |of, _| at(of == Complete, 500),
            Kept::Nothing,
        ),
        store(
            "store answers 200 with an error to a completion, once",
            LARGE,
            |of, n| match (of, n) {
                (Complete, 0) => Answer::Instead(Reply::new(
                    200,
                    &[("content-type", "application/xml")],
                    "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>",
                )),
                _ => Answer::Own,
            },
            Kept::All,
        ),
        store(
            "store answers 200 with an error of a namespace to a completion, always",
            LARGE,
            |of, _| words(of == Complete, "<Error xmlns=\"x\"><Code>InternalError</Code></Error>"),
            Kept::Nothing,
        ),
        store(
            "store answers 200 with nothing to a completion, always",
            LARGE,
            |of, _| words(of == Complete, ""),
            Kept::Nothing,
        ),
        store(
            "store answers 200 with HTML to a completion, always",
            LARGE,
            |of, _| words(of == Complete, "<!DOCTYPE html><html><body>Welcome</body></html>"),
            Kept::Nothing,
        ),
        store(
            "store completes, and answers with nothing",
            LARGE,
            |of, _| match of == Complete {
                true => Answer::OwnOtherwise(Reply::new(200, &[], "")),
                false => Answer::Own,
            },
            Kept::All,
        ),
        store(
            "store answers 200 with an error to a PUT, always",
            SMALL,
            |of, _| {
                words(of == Put, "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code></Error>")
            },
            Kept::Nothing,
        ),
        store(
            "store completes, and its answer is lost",
            LARGE,
            |of, n| if of == Complete && n == 0 { Answer::OwnUnheard } else { Answer::Own },
            Kept::All,
        ),
        store(
            "store completes, and answers too late",
            LARGE,
            |of, n| if of == Complete && n == 0 { Answer::OwnLate } else { Answer::Own },
            Kept::All,
        ),
        store(
            "store completes, its answer is lost, and it knows no upload then",
            LARGE,
            |of, n| match (of, n) {
                (Complete, 0) => Answer::OwnUnheard,
                (Complete, _) => instead(404),
                _ => Answer::Own,
            },
            Kept::All,
        ),
        store(
            "store dies in an upload, and comes back",
            LARGE,
            |of, n| reset(matches!(of, Part(2..) | Complete | Abort) && n < 2),
            Kept::All,
        ),
        store(
            "store dies in an upload, and only aborts",
            LARGE,
            |of, n| reset(matches!(of, Part(2..) | Complete) || (of == Abort && n < 2)),
            Kept::Nothing,
        ),
        store(
            "store answers 503 to everything for a while",
            LARGE,
            |of, n| at(of != Read && n < 2, 503),
            Kept::All,
        ),
    ]
}

fn at(now: bool, status: u16) -> Answer {
    if now { instead(status) } else { Answer::Own }
}

fn words(now: bool, words: &str) -> Answer {
    if now { Answer::Instead(Reply::new(200, &[], words)) } else { Answer::Own }
}

fn hang(now: bool) -> Answer {
    if now { Answer::Instead(Reply::raw("").stall()) } else { Answer::Own }
}

fn reset(now: bool) -> Answer {
    if now { Answer::Instead(Reply::raw("").reset()) } else { Answer::Own }
}

/// A row about a store; the client never notices.
fn store(name: &'static str, size: usize, store: Fault, kept: Kept) -> Row {
    Row { name, size, origin: good, store, client: Client::Reads, gets: Gets::All, kept }
}

fn instead(status: u16) -> Answer {
    Answer::Instead(error(status, "Scripted", "PUT"))
}
