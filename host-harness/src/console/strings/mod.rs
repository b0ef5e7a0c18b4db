//! Every text of the console, in each of its languages, side by side: one that is missing does not
//! compile.

mod texts;

pub(super) use texts::Strings;

/// A language.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Language {
    Chinese,
    English,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Its texts.
    pub(super) const fn strings(self) -> &'static Strings {
        match self {
            Self::Chinese => &texts::CHINESE,
            Self::English => &texts::ENGLISH,
        }
    }

    /// As documents name it.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    /// As it names itself.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chinese => "中文",
            Self::English => "English",
        }
    }

    /// The language of a tag.
    pub(super) fn of(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The one that a browser would rather have, by its `Accept-Language`.
    pub(super) fn accepted(languages: &str) -> Self {
        let tags = languages.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        let known = |tag: &str| {
            let start = tag.split('-').next().unwrap_or_default();
            Self::ALL
                .into_iter()
                .find(|language| language.tag().starts_with(start) && !start.is_empty())
        };
        tags.into_iter().find_map(known).unwrap_or(Self::English)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_language_is_taken() {
        for (accepted, expected) in [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("de, zh-TW;q=0.5", Language::Chinese),
            ("en-GB,zh", Language::English),
            ("*", Language::English),
        ] {
            assert_eq!(Language::accepted(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn no_text_was_left_in_the_other_language() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for (name, english, chinese) in texts::pairs() {
            assert!(!english.is_empty() && !is_chinese(english), "{name}");
            let is_same_in_both = ["brand"].contains(&name);
            assert!(is_chinese(chinese) || is_same_in_both, "{name}");
        }
    }
}
