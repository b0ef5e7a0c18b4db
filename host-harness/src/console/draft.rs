//! Forms between their review and their saving: what is typed, secrets too, waits here and not in a
//! page.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::form::Form;
use super::session::random;

/// How many forms wait at most, and how long; the oldest gives way.
const MOST: usize = 64;
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A form that waits, and the token of the session that has sent it.
struct Draft {
    csrf: String,
    form: Form,
    at: Instant,
}

/// All forms that wait.
#[derive(Default)]
pub(super) struct Drafts(Mutex<BTreeMap<String, Draft>>);

impl Drafts {
    /// Keeps a form, and gives back its name; `None` where there is no randomness.
    pub(super) fn keep(&self, form: Form, now: Instant) -> Option<String> {
        let id = random()?;
        let mut drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.retain(|_, draft| now.duration_since(draft.at) < LONGEST);
        while drafts.len() >= MOST {
            let oldest = drafts.iter().min_by_key(|(_, draft)| draft.at);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            drafts.remove(&oldest);
        }
        let csrf = form.get("csrf").to_owned();
        drafts.insert(id.clone(), Draft { csrf, form, at: now });
        Some(id)
    }

    /// The form that was kept under a name in the same session; `None` where it is gone.
    pub(super) fn find(&self, id: &str, csrf: &str, now: Instant) -> Option<Form> {
        let drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let draft = drafts.get(id)?;
        let is_own = draft.csrf == csrf && now.duration_since(draft.at) < LONGEST;
        is_own.then(|| draft.form.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_waits_for_its_own_session_and_not_for_ever() {
        let (drafts, now) = (Drafts::default(), Instant::now());
        let form = |csrf: &str| Form::parse(format!("csrf={csrf}&a=1").as_bytes());
        let first = drafts.keep(form("one"), now).unwrap();
        assert_eq!(drafts.find(&first, "one", now).unwrap().get("a"), "1");
        assert!(drafts.find(&first, "other", now).is_none());
        assert!(drafts.find("", "one", now).is_none());
        assert!(drafts.find(&first, "one", now + LONGEST).is_none());
        for _ in 0..MOST {
            drafts.keep(form("other"), now + Duration::from_secs(1)).unwrap();
        }
        assert!(drafts.find(&first, "one", now).is_none());
    }
}
