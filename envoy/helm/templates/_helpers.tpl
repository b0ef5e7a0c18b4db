{{/* What the pods are found by; it never changes. */}}
{{- define "selector" -}}
app.kubernetes.io/name: back-to-origin
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metadata" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "selector" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{/* The files that are not in the Secret. */}}
{{- define "public" -}}
{{- $secret := .Values.secret.files }}
{{- $files := merge (dict "deployment.yaml" .Values.deployment) .Values.rules }}
{{- range $name, $text := $files }}
{{- if not (has $name $secret) }}
{{ $name }}: {{ $text | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{/* A container of b2o: its name, what it mounts, and its arguments but the last. */}}
{{- define "b2o" -}}
image: {{ include "image" . | quote }}
resources: { requests: { cpu: 10m, memory: 64Mi }, limits: { memory: 256Mi } }
securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
volumeMounts:
- { name: source, mountPath: /etc/back-to-origin, readOnly: true }
- { name: envoy, mountPath: /run/back-to-origin }
args:
- envoy
- /etc/back-to-origin/deployment.yaml
- --out
- /run/back-to-origin
{{- if .Values.secret.variables }}
- --variables
- /etc/back-to-origin/variables
{{- end }}
{{- end }}
