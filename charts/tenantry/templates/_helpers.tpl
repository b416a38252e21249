{{- define "tenantry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters, so that what is appended to it stays within 63. */}}
{{- define "tenantry.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "tenantry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tenantry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tenantry.labels" -}}
{{ include "tenantry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tenantry.serviceAccountName" -}}
{{- default (include "tenantry.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "tenantry.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* Those that only read hold no Lease, and two would write the same statuses. */}}
{{- define "tenantry.replicas" -}}
{{- ternary (min 1 .Values.replicaCount) .Values.replicaCount .Values.readOnly | int }}
{{- end }}

{{/* Two at a time only where a Lease keeps them apart. The API server would fill rollingUpdate in, and refuse to have it with
     Recreate: what is said here goes when it is not said any more. */}}
{{- define "tenantry.strategy" -}}
{{- if or .Values.readOnly (not .Values.leaderElection.enabled) -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 25%
  maxUnavailable: 25%
{{- end }}
{{- end }}

{{- define "tenantry.leaseNamespace" -}}
{{- default .Release.Namespace .Values.leaderElection.namespace }}
{{- end }}

{{/* The ports of the proxies, as a JSON list: those of their schemes where they name none. */}}
{{- define "tenantry.proxyPorts" -}}
{{- $ports := list }}
{{- range list .Values.proxy.https .Values.proxy.http }}
{{- if . }}
{{- $port := regexFind ":[0-9]+$" (trimSuffix "/" .) | trimPrefix ":" }}
{{- $ports = append $ports (default (ternary 443 80 (hasPrefix "https:" .)) $port | float64) }}
{{- end }}
{{- end }}
{{- $ports | toJson }}
{{- end }}

{{/* The ports that lead out, as JSON: anywhere, and elsewhere than to the node, which has its metadata on port 80. */}}
{{- define "tenantry.egressPorts" -}}
{{- $anywhere := list }}
{{- $elsewhere := list }}
{{- range .Values.networkPolicy.egressPorts }}
{{- if eq (int .) 80 }}
{{- $elsewhere = append $elsewhere (int .) }}
{{- else }}
{{- $anywhere = append $anywhere (int .) }}
{{- end }}
{{- end }}
{{- range include "tenantry.proxyPorts" . | fromJsonArray }}
{{- if not (has (int .) $anywhere) }}
{{- $elsewhere = append $elsewhere (int .) }}
{{- end }}
{{- end }}
{{- dict "anywhere" (uniq $anywhere) "elsewhere" (uniq $elsewhere) | toJson }}
{{- end }}

{{/* What leads out, of the operator and of the gateway: rules of a NetworkPolicy. */}}
{{- define "tenantry.egress" -}}
# DNS
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- $ports := include "tenantry.egressPorts" . | fromJson }}
{{- with $ports.anywhere }}
# AWS and the API server
- ports:
    {{- range . }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- with $ports.elsewhere }}
# The proxies before AWS. On port 80 the node would answer too, with its own credentials.
- to:
    - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
    - ipBlock: {cidr: "::/0", except: ["fd00:ec2::/32"]}
  ports:
    {{- range . }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- end }}
# The EKS Pod Identity agent, on every node
- to:
    - ipBlock: {cidr: 169.254.170.23/32}
    - ipBlock: {cidr: "fd00:ec2::23/128"}
  ports:
    - {port: 80, protocol: TCP}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The matcher of the series that Prometheus scrapes of something by this name, the operator or the gateway; nothing where the
     chart does not say how. */}}
{{- define "tenantry.job" -}}
{{- with .root.Values.metrics -}}
{{- if .serviceMonitor.enabled -}}
job="{{ $.name }}-metrics"
{{- else if .podMonitor.enabled -}}
job="{{ $.root.Release.Namespace }}/{{ $.name }}"
{{- end }}
{{- end }}
{{- end }}

{{/* The environment of the operator and of the gateway: what is logged, and where AWS is. */}}
{{- define "tenantry.environment" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: RUST_LOG
  value: {{ .Values.log | quote }}
{{- with .Values.aws.region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .Values.aws.endpointUrl }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- if .Values.aws.fipsEndpoints }}
- name: AWS_USE_FIPS_ENDPOINT
  value: "true"
{{- end }}
{{- if .Values.aws.dualStackEndpoints }}
- name: AWS_USE_DUALSTACK_ENDPOINT
  value: "true"
{{- end }}
{{- range $variable, $value := dict "HTTPS_PROXY" .Values.proxy.https "HTTP_PROXY" .Values.proxy.http "NO_PROXY" .Values.proxy.except }}
{{- with $value }}
- name: {{ $variable }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if .Values.authorities.configMap }}
- name: AWS_CA_BUNDLE
  value: {{ printf "/etc/tenantry/authorities/%s" .Values.authorities.key | quote }}
{{- end }}
{{- end }}

{{/* The volume of the authorities that vouch for AWS, if there is one. */}}
{{- define "tenantry.authoritiesVolume" -}}
{{- with .Values.authorities.configMap -}}
- name: authorities
  configMap:
    name: {{ . | quote }}
    items:
      - {key: {{ $.Values.authorities.key | quote }}, path: {{ $.Values.authorities.key | quote }}}
{{- end }}
{{- end }}

{{- define "tenantry.authoritiesMount" -}}
{{- if .Values.authorities.configMap -}}
- name: authorities
  mountPath: /etc/tenantry/authorities
  readOnly: true
{{- end }}
{{- end }}

{{/* Which nodes the pods of the operator and of the gateway run on. */}}
{{- define "tenantry.placement" -}}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* One of both, as a PodDisruptionBudget has it, and the rest of its spec but for the selector. */}}
{{- define "tenantry.disruption" -}}
{{- if not (kindIs "invalid" .maxUnavailable) -}}
maxUnavailable: {{ .maxUnavailable }}
{{- else -}}
minAvailable: {{ .minAvailable }}
{{- end }}
# A pod that is not ready protects nobody, and must not hold up a node.
unhealthyPodEvictionPolicy: AlwaysAllow
{{- end }}

{{/* The flags of `tenantry run`. */}}
{{- define "tenantry.args" -}}
{{- $v := .Values -}}
- run
- --installation={{ $v.installation }}
{{- with $v.permissionsBoundary }}
- --permissions-boundary={{ . }}
{{- end }}
{{- if $v.readOnly }}
- --read-only
{{- end }}
{{- with $v.selector }}
- {{ printf "--selector=%s" . | quote }}
{{- end }}
{{- with $v.siloNamespaces }}
- {{ printf "--silo-namespaces=%s" . | quote }}
{{- end }}
- --max-knowledge-bases={{ int $v.maxKnowledgeBases }}
- --max-tenants-per-namespace={{ int $v.maxTenantsPerNamespace }}
- --max-ingestion-jobs={{ int $v.maxIngestionJobs }}
- --pace={{ $v.pace }}
- --resync={{ int $v.resyncSeconds }}
- --deletion-grace={{ int $v.deletionGraceSeconds }}
- --concurrency={{ int $v.concurrency }}
{{- with $v.registry }}
- --registry={{ . }}
{{- end }}
{{- with $v.installationBucket }}
- --installation-bucket={{ . }}
{{- end }}
- --id-policy={{ $v.idPolicy }}
{{- if $v.requireTenantIds }}
- --require-tenant-ids
{{- end }}
{{- if $v.requireClass }}
- --require-class
{{- end }}
{{- if $v.rebuildRecords }}
- --rebuild-records
{{- end }}
{{- with $v.takeOver }}
- --take-over={{ . }}
{{- end }}
- --log-format={{ $v.logFormat }}
- --leader-elect={{ $v.leaderElection.enabled }}
{{- with $v.leaderElection }}
{{- if .enabled }}
- --leader-elect-resource-namespace={{ include "tenantry.leaseNamespace" $ }}
- --leader-elect-lease-duration={{ int .leaseDurationSeconds }}
- --leader-elect-renew-deadline={{ int .renewDeadlineSeconds }}
- --leader-elect-retry-period={{ int .retryPeriodSeconds }}
{{- end }}
{{- end }}
- --health-probe-bind-address={{ $v.bindAddress }}:{{ int $v.health.port }}
{{- if $v.metrics.enabled }}
- --metrics-bind-address={{ $v.bindAddress }}:{{ int $v.metrics.port }}
- --metrics-per-object={{ int $v.metrics.perObject }}
{{- end }}
{{- range $v.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
