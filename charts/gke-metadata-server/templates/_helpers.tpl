{{/* Labels by which the Pods of a component are selected: none that an upgrade changes. */}}
{{- define "gke-metadata-server.selectorLabels" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ $.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of every object, and more of one: (list $ "server") or (list $ "server" $labels). */}}
{{- define "gke-metadata-server.labels" -}}
{{- $ := index . 0 -}}
{{- $own := include "gke-metadata-server.selectorLabels" . | fromYaml -}}
{{- /* a label may have no "+" */ -}}
{{- $_ := set $own "app.kubernetes.io/version" ($.Chart.AppVersion | replace "+" "_") -}}
{{- $more := gt (len .) 2 | ternary (last .) dict -}}
{{ merge $own $more $.Values.metadata.labels (dict "app.kubernetes.io/managed-by" $.Release.Service) | toYaml }}
{{- end }}

{{/* Annotations of every object, and more of one: (list $ (dict "key" "value")). */}}
{{- define "gke-metadata-server.annotations" -}}
{{- $ := index . 0 -}}
{{- with merge (dict) (index . 1) ($.Values.metadata.annotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Name of this release among those of all Namespaces: NAMESPACE.NAME, or NAME if the two are equal. Neither has a dot, so two
releases never share a name.
*/}}
{{- define "gke-metadata-server.uniqueName" -}}
{{- if eq .Release.Name .Release.Namespace }}{{ .Release.Name }}{{ else }}{{ .Release.Namespace }}.{{ .Release.Name }}{{ end }}
{{- end }}

{{/* Name of a cluster-wide object: (list $ "server"). */}}
{{- define "gke-metadata-server.clusterName" -}}
{{ include "gke-metadata-server.uniqueName" (index . 0) }}-{{ index . 1 }}
{{- end }}

{{/* Image by digest if there is one. */}}
{{- define "gke-metadata-server.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* Labels of the Nodes that Pods may run on. */}}
{{- define "gke-metadata-server.nodeSelector" -}}
{{ merge (dict "kubernetes.io/os" "linux") . | toYaml }}
{{- end }}

{{- define "gke-metadata-server.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
Pod Security level "restricted", with a UID of the project's own unless the platform assigns one: processes of one UID on
the host network can share a port.
*/}}
{{- define "gke-metadata-server.podSecurityContext" -}}
runAsNonRoot: true
{{- range $field := list "runAsUser" "runAsGroup" }}
{{- with get $.Values.podSecurityContext $field }}
{{ $field }}: {{ int64 . }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "gke-metadata-server.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Probes of a container by its health port. */}}
{{- define "gke-metadata-server.probes" -}}
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ . }}
  periodSeconds: 2
livenessProbe:
  httpGet:
    path: /healthz
    port: {{ . }}
{{- end }}

{{/* Variables that a user adds to those of a container, which has none twice: (list "server.env" $own $extra). */}}
{{- define "gke-metadata-server.extraEnvironment" -}}
{{- $names := list }}
{{- range index . 1 }}{{ $names = append $names .name }}{{ end }}
{{- $both := list }}
{{- range index . 2 }}{{ if has .name $names }}{{ $both = append $both .name }}{{ end }}{{ end }}
{{- if $both }}
{{- fail (printf "%s sets %s, which the module sets: use the value of that setting" (index . 0) (join ", " $both)) }}
{{- end }}
{{- with index . 2 }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* The same for server and webhook, as the guard believes what the server does. */}}
{{- define "gke-metadata-server.defaultNodeServiceAccount" -}}
{{- with .Values.settings.defaultNodeServiceAccount }}
- name: DEFAULT_NODE_SERVICE_ACCOUNT_NAME
  value: {{ .name | quote }}
- name: DEFAULT_NODE_SERVICE_ACCOUNT_NAMESPACE
  value: {{ .namespace | quote }}
{{- end }}
{{- end }}

{{/* Whether Pods may ask for a cloud identity by their ServiceAccount, which the API server does not look at; else empty. */}}
{{- define "gke-metadata-server.byServiceAccount" -}}
{{- if or .Values.aws.enabled .Values.aws.podIdentity.enabled .Values.externalAccount.enabled }}true{{ end }}
{{- end }}

{{/* The ConfigMaps that the webhook reads: {purpose, name, namespace} each. */}}
{{- define "gke-metadata-server.configMaps" -}}
{{- $all := list }}
{{- with .Values.aws }}
{{- if and .enabled .configMap }}{{ $all = append $all (merge (dict "purpose" "aws") .configMap) }}{{ end }}
{{- with .podIdentity }}
{{- if and .enabled .configMap }}{{ $all = append $all (merge (dict "purpose" "aws-pod-identity") .configMap) }}{{ end }}
{{- end }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* Whether the server gives the credentials of a cloud, .Values.aws or .Values.azure; else empty. */}}
{{- define "gke-metadata-server.serves" -}}
{{- if and .enabled (eq .credentials "MetadataServer") }}true{{ end }}
{{- end }}

{{/* Whether a caller is the server, in CEL. */}}
{{- define "gke-metadata-server.isServer" -}}
request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ .Release.Name }}'
{{- end }}

{{/* Seconds of a duration such as 1h30m; Helm knows durations only as something to add to a date. */}}
{{- define "gke-metadata-server.seconds" -}}
{{- $epoch := toDate "2006-01-02T15:04:05Z07:00" "1970-01-01T00:00:00Z" -}}
{{ dateModify . $epoch | unixEpoch }}
{{- end }}
