"""SurveyService over gRPC."""

from typing import Any
from uuid import UUID

from chassis.db import Database
from survey import convert, store
from tickdesk.survey.v1 import survey_pb2, survey_service_pb2, survey_service_pb2_grpc

NAME = survey_service_pb2.DESCRIPTOR.services_by_name["SurveyService"].full_name
_PAGE = 50
_STAFF = frozenset({"agent", "lead", "admin", "service"})
PERMITTED: dict[str, frozenset[str]] = {
    "GetSurvey": _STAFF,
    "ListSurveys": _STAFF,
}
"""Roles by method; what is not named here is refused to everybody."""


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
        after = convert.page_start(request.page_token)
        async with self._db.tx() as tx:
            found, total, csat = await store.list_surveys(tx, _filters(request), after, size + 1)
        page = found[:size]
        return survey_service_pb2.ListSurveysResponse(
            surveys=map(convert.survey_message, page),
            next_page_token=convert.page_token(page[-1]) if len(found) > size else "",
            total_size=total,
            csat_percent=csat,
        )


def _filters(request: survey_service_pb2.ListSurveysRequest) -> dict[str, str]:
    filters = {"ticket_id": request.ticket_id} if request.ticket_id else {}
    if request.state != survey_pb2.SURVEY_STATE_UNSPECIFIED:
        filters["state"] = convert.state_name(request.state)
    return filters
