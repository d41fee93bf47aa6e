"""SurveyService over gRPC."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.db import Database
from chassis.pages import page_start, page_token
from survey import convert, store
from tickdesk.survey.v1 import survey_pb2, survey_service_pb2, survey_service_pb2_grpc

SERVICE = survey_service_pb2.DESCRIPTOR.services_by_name["SurveyService"]
_PAGE = 50


class SurveyApi(survey_service_pb2_grpc.SurveyServiceServicer):
    """Shows surveys."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetSurvey(
        self, request: survey_service_pb2.GetSurveyRequest, context: Any
    ) -> survey_service_pb2.GetSurveyResponse:
        """See the contract."""
        async with self._db.tx() as tx:
            survey = await store.get_survey(tx, UUID(request.survey_id))
        return survey_service_pb2.GetSurveyResponse(survey=convert.survey_message(survey))

    async def ListSurveys(
        self, request: survey_service_pb2.ListSurveysRequest, context: Any
    ) -> survey_service_pb2.ListSurveysResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        filters = _filters(request)
        scope = ("surveys", filters)
        after = page_start(request.page_token, scope, _place)
        async with self._db.tx() as tx:
            found, total, csat = await store.list_surveys(tx, filters, after, size + 1)
        page = found[:size]
        ended = (page[-1].created_at.isoformat(), str(page[-1].id)) if len(found) > size else None
        return survey_service_pb2.ListSurveysResponse(
            surveys=map(convert.survey_message, page),
            next_page_token=page_token(scope, *ended) if ended else "",
            total_size=total,
            csat_percent=csat,
        )


def _filters(request: survey_service_pb2.ListSurveysRequest) -> dict[str, str]:
    filters = {"ticket_id": request.ticket_id} if request.ticket_id else {}
    if request.state != survey_pb2.SURVEY_STATE_UNSPECIFIED:
        filters["state"] = convert.state_name(request.state)
    return filters


def _place(at: str, identity: str) -> tuple[datetime, UUID]:
    """Where a page ended."""
    return datetime.fromisoformat(at).astimezone(UTC), UUID(identity)
