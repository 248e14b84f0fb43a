//! Why a text is not a form.

/// A refusal of a form, with the place where it stands: `fields[3].required.all[0]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct FormError {
    /// The place in the JSON; `form` for the whole.
    pub at: String,
    /// What is wrong there.
    pub why: Why,
}

/// What is wrong at one place of a form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Not JSON as the protocol takes it.
    #[error("not JSON as the protocol takes it")]
    NotJson,
    /// A value of another kind.
    #[error("not {0}")]
    NotA(&'static str),
    /// A member that must be there.
    #[error("the member {0} is missing")]
    Missing(&'static str),
    /// A member that nothing reads, or not at this kind of field.
    #[error("the member {0} has no meaning here")]
    UnknownMember(String),
    /// A word outside its list.
    #[error("{word} is no {what}")]
    UnknownWord {
        /// What the word should be.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// A path, a segment or a code that cannot be named in a change.
    #[error("{0} is not a path of segments of A-Z a-z 0-9 _ -")]
    BadPath(String),
    /// A path or a code that stands twice.
    #[error("{0} stands twice")]
    Twice(String),
    /// A field that the form does not have.
    #[error("the form has no field {0}")]
    UnknownField(String),
    /// A code that the field does not offer.
    #[error("the field has no choice {0}")]
    UnknownChoice(String),
    /// A merge word that the kind of field cannot have.
    #[error("a field of this kind cannot be merged as {0}")]
    BadMerge(String),
    /// Some choices have a rank and others have none.
    #[error("some choices have a rank and others have none")]
    PartialRank,
    /// A label without text in one of the languages.
    #[error("a label without text")]
    Unlabelled,
    /// Bounds that are not values of the field's kind, or the lower above the upper.
    #[error("the bounds are not in order")]
    BadRange,
    /// More than a form may have.
    #[error("more than {0}")]
    TooMany(usize),
}
