"""The codes of objections, requests, records and dimensions: which text says each (words_record.toml)."""

from typing import Any

CODES: dict[str, dict[str, str]] = {
    "helping": {
        "talk": "help_talk",
        "rest": "help_rest",
        "mentor": "help_mentor",
        "family": "help_family",
        "other": "help_other",
    },
    "against": {"record": "against_record", "score": "against_score", "warning": "against_warning"},
    "status": {
        "open": "ended_open",
        "upheld": "ended_upheld",
        "partly": "ended_partly",
        "rejected": "ended_rejected",
    },
    "outcome": {"upheld": "outcome_upheld", "partly": "outcome_partly", "rejected": "outcome_rejected"},
    "record": {"counts": "record_counts", "corrected": "record_corrected", "retracted": "record_retracted"},
    "warning": {
        "standing": "warning_standing",
        "appealed": "warning_appealed",
        "lifted": "warning_lifted",
    },
    "looked": {"person": "looked_person", "report": "looked_report", "objection": "looked_objection"},
    "personal": {
        "name": "personal_name",
        "rank": "personal_rank",
        "hired_on": "personal_hired_on",
        "birth_year": "personal_birth_year",
        "sex": "personal_sex",
    },
    "dimension": {
        "workload": "dimension_workload",
        "quality": "dimension_quality",
        "satisfaction": "dimension_satisfaction",
        "wellbeing": "dimension_wellbeing",
        "honour": "dimension_honour",
        "action": "dimension_action",
    },
    "done": {
        "help": "mine_done_help",
        "objection": "mine_done_objection",
        "withdrawn": "mine_done_withdrawn",
        "given": "mine_done_given",
    },
    "anew": {"consent": "anew_consent", "objection": "anew_objection"},
}

DONE: dict[str, str] = {
    "signed in": "did_signed_in",
    "sign-in failed": "did_sign_in_failed",
    "account added": "did_account_added",
    "account disabled": "did_account_disabled",
    "password changed": "did_password_changed",
    "password reset": "did_password_reset",
    "token made": "did_token_made",
    "token revoked": "did_token_revoked",
    "refused": "did_refused",
    "looked": "did_looked",
    "flags raised": "did_flags_raised",
    "flag decided": "did_flag_decided",
    "feedback given": "did_feedback_given",
    "list exported": "did_list_exported",
    "list published": "did_list_published",
    "notice sent": "did_notice_sent",
    "notice failed": "did_notice_failed",
    "objection made": "did_objection_made",
    "objection decided": "did_objection_decided",
    "score rerun": "did_score_rerun",
    "help asked for": "did_help_asked_for",
    "help answered": "did_help_answered",
    "consent given": "did_consent_given",
    "consent withdrawn": "did_consent_withdrawn",
    "rescored without health data": "did_rescored_without_health_data",
    "upload begun": "did_upload_begun",
    "upload refused": "did_upload_refused",
    "histories taken in": "did_histories_taken_in",
    "ledger ingested": "did_ledger_ingested",
    "backup made": "did_backup_made",
    "restored": "did_restored",
    "kept apart": "did_kept_apart",
    "mentorships proposed": "did_mentorships_proposed",
    "mentorship decided": "did_mentorship_decided",
    "offers made": "did_offers_made",
    "offer made": "did_offer_made",
    "offer decided": "did_offer_decided",
    "rest plan made": "did_rest_plan_made",
    "rest plan solved": "did_rest_plan_solved",
    "rest plan decided": "did_rest_plan_decided",
    "what-if asked": "did_what_if_asked",
    "model promoted": "did_model_promoted",
    "model not promoted": "did_model_not_promoted",
    "model rolled back": "did_model_rolled_back",
    "drew_by_lot": "did_drew_by_lot",
}
"""What the log says was done: which text says each kind of row."""


def key_of(kind: str, code: Any) -> str:
    """Return the text's key of a code; the code itself where it is none of ours."""
    return CODES[kind].get(str(code), "code_unknown")
