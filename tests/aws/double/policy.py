"""IAM policy evaluation, pure: statements, an action, a resource and a context in; Allow, Deny or nothing out.

As much of the policy language as the operator's and the role's policies use; an operator that is not known
here fails closed (an Allow does not apply, a Deny does).
"""

import fnmatch
import functools
import re


# In a context: which variables of a policy are resolved. It is no condition key. Absent: all. "slashless": none whose tag's key has
# a slash in it. "none": none at all, as in policies of the language's older version.
VARIABLES = "double:variables"


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


@functools.lru_cache(maxsize=4096)
def _glob(pattern):
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in pattern), re.DOTALL)


def like(pattern, text):
    return bool(_glob(pattern).fullmatch(text))


@functools.lru_cache(maxsize=65536)
def names(patterns, action):
    """Does any of these patterns mean the action? No statement has many patterns, but every call is held against all statements."""
    return any(like(pattern.lower(), action.lower()) for pattern in patterns)


def arn_like(pattern, arn):
    """Each of the six parts by itself, so that a wildcard cannot swallow a colon."""
    wanted, found = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(found) and all(like(w, f) for w, f in zip(wanted, found))


def decide(documents, action, resource, context, principal=None):
    """'Deny', 'Allow' or None. `principal` is a predicate on a Principal element, for resource policies."""
    verdict = None
    for document in documents:
        seen = _seen_by(document, context)
        for statement in as_list((document or {}).get("Statement")):
            effect = statement.get("Effect")
            if _applies(statement, effect, action, resource, seen, principal):
                if effect == "Deny":
                    return "Deny"
                verdict = "Allow"
    return verdict


def allowing(document, action, resource, context):
    """The names of all statements of an identity's policy that allow it, None for one without a name."""
    seen = _seen_by(document, context)
    return [statement.get("Sid") for statement in as_list((document or {}).get("Statement"))
            if statement.get("Effect") == "Allow" and _applies(statement, "Allow", action, resource, seen, None)]


def _seen_by(document, context):
    """The context as a policy sees it: to one that does not say the language's newer version, a variable is mere text."""
    return context if (document or {}).get("Version") == "2012-10-17" else {**context, VARIABLES: "none"}


def _applies(statement, effect, action, resource, context, principal):
    if principal is not None:
        if "NotPrincipal" in statement:
            if principal(statement["NotPrincipal"]):
                return False
        elif not principal(statement.get("Principal")):
            return False
    if "NotAction" in statement:
        if names(tuple(as_list(statement["NotAction"])), action):
            return False
    elif not names(tuple(as_list(statement.get("Action"))), action):
        return False
    if "NotResource" in statement:
        if any(like(substitute(r, context), resource) for r in as_list(statement["NotResource"])):
            return False
    elif "Resource" in statement:
        if not any(like(substitute(r, context), resource) for r in as_list(statement["Resource"])):
            return False
    return conditions_hold(statement.get("Condition") or {}, context, unknown=effect == "Deny")


def substitute(text, context):
    """Policy variables such as ${aws:PrincipalTag/tenant}. What cannot be resolved stays as it is, and matches nothing."""
    resolved = context.get(VARIABLES, "all")
    if "${" not in text or resolved == "none":
        return text
    known = {k.lower(): v for k, v in context.items() if v is not None}

    def value(found):
        name = found.group(1)
        if resolved == "slashless" and name.count("/") > 1:
            return found.group(0)
        return str(known.get(name.lower(), found.group(0)))
    return re.sub(r"\$\{([^}]+)\}", value, text)


def conditions_hold(conditions, context, unknown=False):
    if not conditions:
        return True
    known = {k.lower(): v for k, v in context.items() if v is not None}
    for operator, block in conditions.items():
        for key, wanted in block.items():
            held = _condition(operator, known.get(key.lower()), [substitute(str(w), context) if not isinstance(w, bool)
                                                                  else str(w).lower() for w in as_list(wanted)])
            if held is None:
                held = unknown
            if not held:
                return False
    return True


def _same(wanted, found):
    return wanted == found


def _numbers(test):
    def compare(wanted, found):
        try:
            return test(float(found), float(wanted))
        except ValueError:
            return False
    return compare


_TESTS = {
    "StringEquals": _same, "StringLike": like, "StringEqualsIgnoreCase": lambda w, f: w.lower() == f.lower(),
    "ArnEquals": arn_like, "ArnLike": arn_like, "Bool": lambda w, f: w.lower() == f.lower(),
    "NumericEquals": _numbers(lambda f, w: f == w), "NumericLessThan": _numbers(lambda f, w: f < w),
    "NumericLessThanEquals": _numbers(lambda f, w: f <= w), "NumericGreaterThan": _numbers(lambda f, w: f > w),
    "NumericGreaterThanEquals": _numbers(lambda f, w: f >= w),
}
_NEGATED = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike", "ArnNotEquals": "ArnEquals",
            "ArnNotLike": "ArnLike", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
            "NumericNotEquals": "NumericEquals"}


def _condition(operator, found, wanted):
    """True, False, or None for an operator that is not known here."""
    quantifier, _, name = operator.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return (found is None) == (wanted[0].lower() == "true")
    negated = name in _NEGATED
    test = _TESTS.get(_NEGATED.get(name, name))
    if test is None or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return None
    values = [str(v).lower() if isinstance(v, bool) else str(v) for v in as_list(found)]
    if not values:
        # A missing key: nothing matches, except what is negated, optional or about all of no values.
        return optional or quantifier == "ForAllValues" or (negated and quantifier == "")
    matches = [any(test(w, v) for w in wanted) != negated for v in values]
    # Of many values one is enough where nobody says for how many it must hold; of what is negated, none may be named.
    return any(matches) if quantifier == "ForAnyValue" or (quantifier == "" and not negated) else all(matches)


def names_match(pattern, name):
    """The one wildcard of OpenSearch Serverless resources: a `*`, at the end or anywhere."""
    return fnmatch.fnmatchcase(name, pattern)
