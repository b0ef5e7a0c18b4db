//! What is asked of the console by somebody who may ask: which page, or which change.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::Value;

use super::edit::{self, Change, EditError};
use super::pages::panel::{self, Panel};
use super::pages::review::{self, Review};
use super::pages::rules::at;
use super::pages::test::Tested;
use super::pages::{
    Reply, activity, bucket_path, buckets, confirm, history, problem, raw, rules, test, try_it,
};
use super::rule_form;
use super::service::{Asked, Service, absent};
use crate::admin::{KeeperError, ListError, Move, RuleList, number};
use crate::deployment;
use crate::diagnostics::{Problem, Report};
use crate::doctor::{self, Options, Stop};

/// How long one server may take to answer when all are tested.
const TEST_PATIENCE: Duration = Duration::from_secs(5);

/// A change that a form asks for.
struct Wish<'a> {
    bucket: &'a str,
    change: Change,
    /// The words of the audit line.
    what: String,
    /// The title of the review, its button, and whether it takes something away.
    title: String,
    verb: &'a str,
    is_danger: bool,
    /// What the page says when it is done.
    done: &'a str,
}

impl Service {
    /// Answers what is asked.
    pub(super) fn perform(&self, asked: Asked) -> Reply {
        let is_post = asked.method == Method::POST;
        let names: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        let (view, keeper) = (&asked.view, &self.keeper);
        // What is only tried changes nothing.
        let is_tried = matches!(names.as_slice(), ["buckets", _, "try"]);
        if is_post && !is_tried && !asked.may_change() {
            self.tell(
                asked.address,
                view,
                &format!("refused: /{} is for editors", names.join("/")),
            );
            return problem::page(view, StatusCode::FORBIDDEN, view.s.only_editors);
        }
        match (is_post, names.as_slice()) {
            (false, []) => {
                buckets::page(view, keeper, asked.figures.as_ref(), self.recent.as_deref())
            }
            (false, ["activity"]) => activity::page(view, self.recent.as_deref(), &asked.query),
            (true, ["test"]) => self.test(&asked),
            (false, ["buckets", bucket]) => {
                let figures = asked.figures.as_ref();
                rules::page(view, keeper, bucket, (&asked.query, figures))
            }
            (_, ["buckets", bucket, "try"]) => try_it::page(view, keeper, bucket, &asked.form),
            (false, ["buckets", bucket, "history"]) => history::page(view, keeper, bucket),
            (false, ["buckets", bucket, "raw"]) => raw::page(view, keeper, bucket, None),
            (false, ["buckets", bucket, "clear"]) if asked.may_change() => {
                confirm::page(view, keeper, bucket, None)
            }
            (false, ["buckets", bucket, "rules", number, "delete"]) if asked.may_change() => {
                match number.parse() {
                    Ok(number) => confirm::page(view, keeper, bucket, Some(number)),
                    Err(_) => absent(view),
                }
            }
            (false, ["buckets", bucket, "rules", which]) if asked.may_change() => {
                self.open_panel(&asked, bucket, which)
            }
            (true, ["buckets", bucket, "rules", which]) => self.put(&asked, bucket, which),
            (true, ["buckets", bucket, "told"]) => self.told(&asked, bucket),
            (true, ["buckets", bucket, rest @ ..]) => match self.wish(&asked, bucket, rest) {
                Some(wish) => self.do_or_review(&asked, &wish),
                None => absent(view),
            },
            (_, _) => absent(view),
        }
    }

    /// Asks the servers, as `b2o doctor` does; it writes nothing unless that is asked for.
    fn test(&self, asked: &Asked) -> Reply {
        let view = &asked.view;
        let Ok(_turn) = self.testing.try_lock() else { return test::page(view, &Tested::Busy) };
        let is_read_only = asked.form.get("write") != "true";
        let how = if is_read_only { "reading" } else { "reading and writing" };
        self.tell(asked.address, view, &format!("test, {how}"));
        let options =
            Options { keys: Vec::new(), is_read_only, timeout: TEST_PATIENCE, trusted: None };
        let tested = match deployment::load(&self.keeper.deployment) {
            Err(error) => Tested::Refused(error),
            Ok(loaded) => {
                let stop = Stop::default();
                let examined = doctor::examine(&loaded, &options, &stop);
                // This is a thread where waiting is allowed.
                match tokio::runtime::Handle::current().block_on(examined) {
                    Ok(diagnosis) => Tested::Done(diagnosis),
                    Err(error) => Tested::Unable(error),
                }
            }
        };
        test::page(view, &tested)
    }

    /// The change that a form of buttons asks for.
    fn wish<'a>(&self, asked: &'a Asked, bucket: &'a str, path: &[&str]) -> Option<Wish<'a>> {
        let (s, form) = (asked.view.s, &asked.form);
        let wish = |change, what: String, title: String, verb, is_danger, done| Wish {
            bucket,
            change,
            what,
            title,
            verb,
            is_danger,
            done,
        };
        match path {
            ["move"] => {
                let rule = form.number("rule")?;
                let by = match form.get("by") {
                    "up" => Move::Up,
                    "down" => Move::Down,
                    to => Move::To(to.parse().ok()?),
                };
                let what = format!("move rule {rule} of {bucket} {}", form.get("by"));
                Some(wish(
                    Change::Move(rule, by),
                    what,
                    s.move_a_rule.to_owned(),
                    s.save,
                    false,
                    "moved",
                ))
            }
            ["clear"] => {
                let what = format!("clear {bucket}");
                Some(wish(Change::Clear, what, s.clear_all.to_owned(), s.clear, true, "cleared"))
            }
            ["rules", rule, "delete"] => {
                let rule = rule.parse().ok()?;
                let what = format!("delete rule {rule} of {bucket}");
                let title = (s.delete_number)(rule);
                Some(wish(Change::Delete(rule), what, title, s.delete, true, "deleted"))
            }
            ["history"] => {
                let time = form.number("time")?;
                let what = format!("restore {bucket}");
                let title = s.restore_these.to_owned();
                Some(wish(Change::Restore(time), what, title, s.restore, false, "restored"))
            }
            ["raw"] => {
                let what = format!("replace the rules of {bucket}");
                let change = Change::Whole(form.get("text").to_owned());
                Some(wish(change, what, s.edit_text.to_owned(), s.save, false, "saved"))
            }
            _ => None,
        }
    }

    /// Makes a change, or shows what it would make of the rules: where that is asked for, and where
    /// they are not those that its editor has seen.
    fn do_or_review(&self, asked: &Asked, wish: &Wish<'_>) -> Reply {
        let (view, form) = (&asked.view, &asked.form);
        if form.get("do") == "review" {
            return self.review(asked, wish, false);
        }
        match edit::make(&self.keeper, wish.bucket, form.get("tag"), &wish.change) {
            Ok(()) => {
                self.tell(asked.address, view, &format!("{}: done", wish.what));
                Reply::redirect(done(wish))
            }
            Err(EditError::Conflict) => {
                self.tell(asked.address, view, &format!("{}: conflict", wish.what));
                self.review(asked, wish, true)
            }
            Err(error) => {
                self.tell(asked.address, view, &format!("{}: refused", wish.what));
                self.refused(asked, wish, &error)
            }
        }
    }

    fn review(&self, asked: &Asked, wish: &Wish<'_>, is_conflict: bool) -> Reply {
        let view = &asked.view;
        let judged = edit::judge(&self.keeper, wish.bucket, &wish.change);
        // The tag is looked up behind: one that is older is refused, and shown again.
        let tag = self.keeper.kept(wish.bucket).map(|kept| kept.tag());
        match (judged, tag) {
            (Ok(judged), Ok(tag)) => {
                let form = &asked.form;
                // Who opened the form long ago sees that too.
                let is_conflict = is_conflict || (form.has("tag") && form.get("tag") != tag);
                let Some(draft) = self.drafts.keep(form.clone(), Instant::now()) else {
                    return problem::page(view, StatusCode::SERVICE_UNAVAILABLE, view.s.cannot);
                };
                review::page(
                    view,
                    &Review {
                        draft: &draft,
                        bucket: wish.bucket,
                        title: &wish.title,
                        to: &asked.view.here,
                        is_panel: form.has("Redirect/RedirectType"),
                        tag: &tag,
                        is_conflict,
                        judged: &judged,
                        verb: wish.verb,
                        is_danger: wish.is_danger,
                    },
                )
            }
            (Err(error), _) => self.refused(asked, wish, &error),
            (Ok(_), Err(error)) => problem::kept(view, &error),
        }
    }

    /// What is refused is told where it can be put right.
    fn refused(&self, asked: &Asked, wish: &Wish<'_>, error: &EditError) -> Reply {
        match (&wish.change, error) {
            (Change::Whole(_), EditError::Keeper(error)) => {
                let typed = problem::reports_of(error).first();
                let text = typed.map(|report| report.document.text.as_str());
                let why = problem::reports(problem::reports_of(error));
                let why = maud::html! { p lang="en" { (error) } (why) };
                let reply = raw::page(&asked.view, &self.keeper, wish.bucket, Some((text, why)));
                Reply { status: StatusCode::UNPROCESSABLE_ENTITY, ..reply }
            }
            (
                Change::Clear
                | Change::Delete(_)
                | Change::Move(..)
                | Change::Put { .. }
                | Change::Restore(_)
                | Change::Whole(_),
                error,
            ) => problem::refused(&asked.view, error),
        }
    }

    /// The rule that a panel is about, or is copied from.
    fn original(&self, bucket: &str, number_of: Option<u64>) -> Result<(Value, String), EditError> {
        let kept = self.keeper.kept(bucket)?;
        let tag = kept.tag();
        let Some(wanted) = number_of else { return Ok((Value::Null, tag)) };
        let list = RuleList::new(kept.website()?)?;
        match list.rules().iter().find(|rule| number(rule) == wanted) {
            Some(rule) => Ok((rule.clone(), tag)),
            None => {
                let known = list.rules().iter().map(number).collect();
                Err(ListError::NoSuchRule { number: wanted, known }.into())
            }
        }
    }

    fn open_panel(&self, asked: &Asked, bucket: &str, which: &str) -> Reply {
        let (number, copy) = match which {
            "new" => (None, asked.query.number("copy")),
            number => match number.parse() {
                Ok(number) => (Some(number), None),
                Err(_) => return absent(&asked.view),
            },
        };
        match self.original(bucket, number.or(copy)) {
            Ok((original, tag)) => {
                let form = match original.is_null() {
                    true => rule_form::new_fields(),
                    false => rule_form::fields(&original),
                };
                let (tag, original) = (&*tag, &original);
                let (found, others) = (&[], &[]);
                let panel =
                    Panel { bucket, number, copy, tag, form: &form, found, others, original };
                panel::page(&asked.view, &panel)
            }
            Err(error) => problem::refused(&asked.view, &error),
        }
    }

    /// What the rule in a form does with an example.
    fn told(&self, asked: &Asked, bucket: &str) -> Reply {
        let form = &asked.form;
        let original =
            self.original(bucket, asked.query.number("rule").or_else(|| form.number("copy")));
        let original = original.map(|(original, _)| original).unwrap_or_default();
        Reply::ok(panel::told(&asked.view, bucket, form, &original))
    }

    /// A rule as its form says it: judged, shown, and saved once that is confirmed.
    fn put(&self, asked: &Asked, bucket: &str, which: &str) -> Reply {
        let form = &asked.form;
        let (number, copy) = match which {
            "new" => (None, form.number("copy")),
            number => match number.parse() {
                Ok(number) => (Some(number), None),
                Err(_) => return absent(&asked.view),
            },
        };
        let (original, tag) = match self.original(bucket, number.or(copy)) {
            Ok(found) => found,
            Err(error) => return problem::refused(&asked.view, &error),
        };
        let panel = |found: &[(String, Problem)], others: &[Problem]| {
            let tag = if form.has("tag") { form.get("tag") } else { &tag };
            let original = &original;
            panel::page(
                &asked.view,
                &Panel { bucket, number, copy, tag, form, found, others, original },
            )
        };
        if matches!(form.get("do"), "back" | "show") {
            return panel(&[], &[]);
        }
        let rule = rule_form::rule(form, Some(&original)).to_string();
        let change = Change::Put { number, rule };
        let s = asked.view.s;
        let (what, title) = match number {
            Some(number) => (format!("edit rule {number} of {bucket}"), (s.edit_number)(number)),
            None => (format!("add a rule to {bucket}"), s.create_rule.to_owned()),
        };
        if let Err(error) = edit::judge(&self.keeper, bucket, &change) {
            if let Some((found, others)) = self.placed(bucket, number, &error) {
                let reply = panel(&found, &others);
                return Reply { status: StatusCode::UNPROCESSABLE_ENTITY, ..reply };
            }
            return problem::refused(&asked.view, &error);
        }
        let (verb, is_danger, done) = (s.save, false, "saved");
        self.do_or_review(asked, &Wish { bucket, change, what, title, verb, is_danger, done })
    }

    /// What was found in a rule, each at its field, and the rest.
    fn placed(
        &self,
        bucket: &str,
        number_of: Option<u64>,
        error: &EditError,
    ) -> Option<(Vec<(String, Problem)>, Vec<Problem>)> {
        let (alone, whole): (Option<&Report>, &[Report]) = match error {
            EditError::List(ListError::NoRule(report)) => (Some(report), &[]),
            EditError::Keeper(KeeperError::Refused(reports)) => (None, reports),
            EditError::Conflict | EditError::Keeper(_) | EditError::List(_) => return None,
        };
        let kept = self.keeper.kept(bucket).ok()?;
        let path = kept.path.display().to_string();
        let website = kept.website().ok().flatten();
        let list = RuleList::new(website).ok()?;
        let own = list.rules().iter().position(|rule| Some(number(rule)) == number_of);
        let own = own.unwrap_or_else(|| list.rules().len());
        let (mut found, mut others) = (Vec::new(), Vec::new());
        for problem in alone.iter().flat_map(|report| &report.problems) {
            match problem.pointer.as_deref().and_then(at) {
                Some((_, field)) => found.push((field_of(field), problem.clone())),
                None => others.push(problem.clone()),
            }
        }
        for report in whole {
            for problem in &report.problems {
                match problem.pointer.as_deref().and_then(at) {
                    Some((index, field)) if index == own && report.document.path == path => {
                        found.push((field_of(field), problem.clone()));
                    }
                    Some(_) | None => others.push(problem.clone()),
                }
            }
        }
        // A finding without a field of its own stands where nobody overlooks it.
        let (found, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(field, _)| !field.is_empty() && field != "RuleNumber");
        others.extend(rest.into_iter().map(|(_, problem)| problem));
        Some((found, others))
    }
}

/// The field of a place in a rule: words that stand in one field are told of together.
fn field_of(path: &str) -> String {
    let path = path.replace("~1", "/").replace("~0", "~");
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["Redirect", "MirrorHeaders", list @ ("Pass" | "Remove"), ..] => {
            format!("Redirect/MirrorHeaders/{list}")
        }
        ["Condition", status @ "HttpErrorCodeReturnedEquals", ..] => format!("Condition/{status}"),
        _ => path,
    }
}

/// Where the browser goes behind a change.
fn done(wish: &Wish<'_>) -> String {
    let base = bucket_path(wish.bucket);
    let Wish { change, done, .. } = wish;
    match change {
        Change::Move(from, by) => {
            // Without a fragment: with one, browsers leave the focus where it leads.
            let (to, by) = match by {
                Move::Up => (from.saturating_sub(1), "up"),
                Move::Down => (from + 1, "down"),
                Move::To(to) => (*to, "to"),
            };
            format!("{base}?done={done}&rule={to}&by={by}")
        }
        Change::Clear
        | Change::Delete(_)
        | Change::Put { .. }
        | Change::Restore(_)
        | Change::Whole(_) => format!("{base}?done={done}"),
    }
}
