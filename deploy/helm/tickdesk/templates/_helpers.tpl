{{/* Name before the service's own; short enough that every object name fits into 63 characters. */}}
{{- define "tickdesk.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of one service. Immutable in the cluster: never change it. Takes root and service. */}}
{{- define "tickdesk.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{/* All labels of an object. Takes root and service. */}}
{{- define "tickdesk.labels" -}}
{{ include "tickdesk.selector" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | trunc 63 | quote }}
app.kubernetes.io/part-of: tickdesk
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{/* The one place where defaults and a service's own block meet, as YAML. Takes root and service. */}}
{{- define "tickdesk.block" -}}
{{- $own := index .root.Values.services .service | default dict -}}
{{- $block := mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) -}}
{{- range $setting, $secret := $block.secrets -}}
{{- if not $secret -}}
{{- $_ := unset $block.secrets $setting -}}
{{- end -}}
{{- end -}}
{{- range $setting, $text := $block.files -}}
{{- if not $text -}}
{{- $_ := unset $block.files $setting -}}
{{- end -}}
{{- end -}}
{{- toYaml $block -}}
{{- end -}}

{{- define "tickdesk.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "tickdesk.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "tickdesk.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* Prefix of a service's settings. Takes the service. */}}
{{- define "tickdesk.prefix" -}}
TICKDESK_{{ . | replace "-" "_" | upper }}_
{{- end -}}

{{/* Settings of a service as environment: ports, own settings, files, secrets. Takes root, service, block. */}}
{{- define "tickdesk.env" -}}
{{- $prefix := include "tickdesk.prefix" .service -}}
{{- $tls := .root.Values.tls.existingSecret -}}
{{- $settings := dict "host" "0.0.0.0" "drain_seconds" .block.shutdown.drainSeconds -}}
{{- range $name, $port := .block.ports -}}
{{- $_ := set $settings (printf "%s_port" $name) $port -}}
{{- end -}}
{{- range $name, $_ := .block.files -}}
{{- $_ := set $settings $name (printf "/etc/tickdesk/%s" $name) -}}
{{- end -}}
{{- if $tls -}}
{{- $_ := set $settings "tls_cert" "/run/tickdesk/tls/tls.crt" -}}
{{- $_ := set $settings "tls_key" "/run/tickdesk/tls/tls.key" -}}
{{- else -}}
{{- $_ := set $settings "insecure" true -}}
{{- if eq .service "sla-clock" -}}
{{- $tickets := include "tickdesk.block" (dict "root" .root "service" "tickets") | fromYaml -}}
{{- $target := printf "%s-tickets:%v" (include "tickdesk.fullname" .root) $tickets.ports.grpc -}}
{{- $_ := set $settings "tickets_target" $target -}}
{{- end -}}
{{- if eq .service "notifier" -}}
{{- $intake := include "tickdesk.block" (dict "root" .root "service" "intake") | fromYaml -}}
{{- $target := printf "%s-intake:%v" (include "tickdesk.fullname" .root) $intake.ports.grpc -}}
{{- $_ := set $settings "intake_target" $target -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := merge (deepCopy .block.settings) $settings }}
- name: {{ $prefix }}{{ upper $name }}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- range $name, $_ := .block.secrets }}
- name: {{ $prefix }}{{ upper $name }}_FILE
  value: /run/tickdesk/secrets/{{ $name }}
{{- end }}
{{- end -}}

{{/* Projected volume of the Secrets given as a map of setting to name and key. */}}
{{- define "tickdesk.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $setting, $secret := . }}
      - secret:
          name: {{ $secret.name }}
          items:
            - key: {{ $secret.key }}
              path: {{ $setting }}
      {{- end }}
{{- end -}}

{{- define "tickdesk.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tickdesk.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}
