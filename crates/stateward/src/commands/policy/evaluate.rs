//! `stateward policy evaluate`.

use std::io::{self, Write};

use stateward_iam::{Answer, evaluate_json, evaluate_line};

use super::{files, words};
use crate::cli::EvaluateArgs;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::table;

pub(super) fn run(context: &Context, args: &EvaluateArgs) -> Result<Exit> {
    let Some(path) = &args.scenario else { return batch() };
    let answer = evaluate_json(&files::read(path)?).map_err(|error| files::malformed(path, &error.to_string()))?;
    context.out.answer(&answer, || told(&answer))
}

/// One answer a line, in the order of the scenarios, so that a program on the other end can wait for each.
fn batch() -> Result<Exit> {
    let mut input = io::BufReader::new(io::stdin().lock());
    let mut output = io::BufWriter::new(io::stdout().lock());
    while let Some(line) = files::line(&mut input)? {
        let answer = match &line {
            Ok(text) => serde_json::to_string(&evaluate_line(text)),
            Err(error) => serde_json::to_string(&serde_json::json!({ "error": error })),
        };
        writeln!(output, "{}", answer.map_err(io::Error::other)?)?;
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

fn told(answer: &Answer) -> String {
    let mut text = format!("{}\n", words::decision(answer.decision, answer.layer, &answer.depends_on));
    if !answer.statements.is_empty() {
        let columns = [table::text("EFFECT"), table::text("LAYER"), table::text("POLICY"), table::text("STATEMENT")];
        let rows = answer.statements.iter().map(|statement| {
            vec![
                words::effect(statement.effect).to_owned(),
                statement.layer.to_string(),
                statement.policy.clone(),
                words::statement(statement),
            ]
        });
        text.push('\n');
        text.push_str(&table::draw(&columns, rows));
    }
    if !answer.errors.is_empty() {
        text.push('\n');
    }
    text + &words::list("note", &answer.errors)
}
