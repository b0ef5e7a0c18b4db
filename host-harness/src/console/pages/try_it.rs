//! What the rules do with a request that is typed: the engine's own explanation.

use maud::{Markup, html};

use super::{Reply, Section, Tab, View, bucket_head, bucket_path, layout, problem};
use crate::admin::Keeper;
use crate::console::form::Form;
use crate::console::told;
use back_to_origin::explain::{Explanation, Question, explain};

/// The methods that can be tried, and the answers of the bucket.
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

/// The page; the form is empty at first.
pub(in crate::console) fn page(view: &View, keeper: &Keeper, bucket: &str, form: &Form) -> Reply {
    let s = view.s;
    let kept = match keeper.kept(bucket) {
        Ok(kept) => kept,
        Err(error) => return problem::kept(view, &error),
    };
    let rules = kept.file.as_ref().and_then(|file| file.rules.as_ref());
    let (method, status) = (word(form, "method", "GET"), word(form, "status", "404"));
    let question = Question {
        bucket: bucket.to_owned(),
        method: method.to_owned(),
        key: form.get("key").as_bytes().to_vec(),
        query: form.get("query").trim_start_matches('?').to_owned(),
        headers: told::headers(form.get("headers")),
        status: status.parse().ok().filter(|status| (100..600).contains(status)).unwrap_or(404),
    };
    let explanation = rules.filter(|_| form.has("key")).map(|rules| explain(rules, &question));
    let content = html! {
        (bucket_head(view, bucket, Some(Tab::Try)))
        p.help { (s.try_help) }
        @if rules.is_none() { p.bad role="alert" { (s.file_is_broken) } }
        form.panel method="post" action={ (bucket_path(bucket)) "/try" } {
            (view.csrf())
            div.columns {
                div {
                    label for="method" { (s.method) }
                    select #method name="method" {
                        @for known in METHODS { option selected[known == method] { (known) } }
                    }
                }
                div.wide {
                    label for="key" { (s.key) }
                    input #key name="key" value=(form.get("key")) spellcheck="false"
                        placeholder="examplefolder/example.txt";
                }
                div.wide {
                    label for="query" { (s.query) }
                    input #query name="query" value=(form.get("query")) spellcheck="false";
                }
                div {
                    label for="status" { (s.bucket_answers) }
                    input #status name="status" value=(status) inputmode="numeric";
                }
            }
            div.field {
                label for="headers" { (s.example_headers) }
                textarea #headers name="headers" rows="3" spellcheck="false"
                    placeholder="aaa-header: aaa" { "\n" (form.get("headers")) }
            }
            div.actions { button.primary { (s.explain) } }
        }
        @if let Some(explanation) = &explanation { (answer(view, explanation, &question, &kept.path.display().to_string())) }
    };
    let title = format!("{bucket} · {}", s.try_it);
    Reply::ok(layout(view, &title, Section::Buckets, &content))
}

fn word<'f>(form: &'f Form, name: &str, default: &'f str) -> &'f str {
    Some(form.get(name).trim()).filter(|word| !word.is_empty()).unwrap_or(default)
}

fn answer(view: &View, explanation: &Explanation, question: &Question, path: &str) -> Markup {
    let s = view.s;
    html! {
        section aria-live="polite" {
            h2 { (s.what_happens) }
            @if let Some(target) = told::target(explanation) {
                p.result { "→ " code #result { (super::rules::shown_url(target)) } }
            }
            ul.steps {
                @for step in &explanation.rules {
                    li {
                        a href={ (bucket_path(&question.bucket)) "#rule-" (step.rule) } { (s.rule) " " (step.rule) }
                        ": "
                        @match &step.mismatch {
                            None => strong { (s.applies) },
                            Some(why) => { (s.does_not_apply) " " span lang="en" { (why) } }
                        }
                    }
                }
            }
            pre lang="en" data-copy=(s.copy) { code { (told::shown(explanation)) } }
            (super::command(view, s.same_by_command, &command(question, path)))
        }
    }
}

/// The command that says the same.
fn command(question: &Question, path: &str) -> String {
    let key = String::from_utf8_lossy(&question.key);
    let mut words = vec!["b2o explain".to_owned(), quoted(path), format!("--key {}", quoted(&key))];
    words.push(format!("--method {} --status {}", question.method, question.status));
    if !question.query.is_empty() {
        words.push(format!("--query {}", quoted(&question.query)));
    }
    words.extend(
        question
            .headers
            .iter()
            .map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}")))),
    );
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
