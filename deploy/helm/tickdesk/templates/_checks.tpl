{{/* Values the schema cannot judge: each failure names the key and the remedy. */}}
{{- define "tickdesk.checks" -}}
{{- range $name := list "postgresql" "nats" "redis" "valkey" -}}
{{- if hasKey $.Values $name -}}
{{- fail (printf "%s: this chart brings no %s; run your own and name its Secret in defaults.secrets or services.<service>.secrets" $name $name) -}}
{{- end -}}
{{- end -}}
{{- if not (include "tickdesk.block" (dict "root" . "service" "intake") | fromYaml).settings.objects -}}
{{- fail "services.intake.settings.objects: name the place of messages and attachments: a URL such as s3://bucket/prefix, or a folder on a volume that all replicas share (services.intake.extraVolumes)" -}}
{{- end -}}
{{- if not (include "tickdesk.block" (dict "root" . "service" "survey") | fromYaml).settings.public_url -}}
{{- fail "services.survey.settings.public_url: name the address at which customers reach the survey's pages, such as https://desk.example.com" -}}
{{- end -}}
{{- range $service, $_ := .Values.services -}}
{{- $block := include "tickdesk.block" (dict "root" $ "service" $service) | fromYaml -}}
{{- if not (hasKey $block.secrets "database_url") -}}
{{- fail (printf "services.%s.secrets.database_url: name the Secret and the key that hold this service's PostgreSQL URL" $service) -}}
{{- end -}}
{{- range $setting, $_ := $block.settings -}}
{{- if hasKey $block.secrets $setting -}}
{{- fail (printf "services.%s: %s is in both settings and secrets; keep one" $service $setting) -}}
{{- end -}}
{{- if hasSuffix "_port" $setting -}}
{{- fail (printf "services.%s.settings.%s: set services.%s.ports.%s instead, so that the Service and the probes follow" $service $setting $service (trimSuffix "_port" $setting)) -}}
{{- end -}}
{{- end -}}
{{- if hasKey $block.settings "drain_seconds" -}}
{{- fail (printf "services.%s.settings.drain_seconds: set services.%s.shutdown.drainSeconds instead, so that the grace period follows" $service $service) -}}
{{- end -}}
{{- end -}}
{{- end -}}
