"""django-helpdesk as its users run it, in one module: settings, urls, and what gunicorn serves.

`python helpdesk_site.py` makes its tables and a public queue. DATABASE is a postgresql:// address. No mail is
sent: it has no templates for any.
"""

import os
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

_database = urlsplit(os.environ["DATABASE"])
settings.configure(
    SECRET_KEY="bench",
    STATIC_URL="/static/",
    HELPDESK_TEAMS_MODE_ENABLED=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="helpdesk_site",
    USE_TZ=True,
    SITE_ID=1,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
    LOGGING={"version": 1, "root": {"level": "ERROR"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.sites",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "django.contrib.humanize",
        "django.contrib.admin",
        "rest_framework",
        "django_cleanup",
        "helpdesk",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database.path.lstrip("/"),
            "USER": _database.username,
            "PASSWORD": _database.password,
            "HOST": _database.hostname,
            "PORT": _database.port,
            # Kept, as ours are.
            "CONN_MAX_AGE": None,
        }
    },
)
django.setup()
urlpatterns = [path("", include("helpdesk.urls", namespace="helpdesk"))]

if __name__ == "__main__":
    from helpdesk.models import Queue

    call_command("migrate", verbosity=0)
    queue = Queue.objects.create(title="Support", slug="SUP", allow_public_submission=True)
    print(queue.id)
else:
    application = get_wsgi_application()
