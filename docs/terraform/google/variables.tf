variable "project_id" {
  description = "The Google Cloud project of the pool, and of the Google service accounts."
  type        = string
}

variable "pool_id" {
  description = "The pool, one for each cluster: 4 to 32 of a-z, 0-9 and -."
  type        = string
}

variable "provider_id" {
  description = "The provider in that pool."
  type        = string
  default     = "cluster"
}

variable "issuer" {
  description = "The cluster's issuer: kubectl get --raw /.well-known/openid-configuration"
  type        = string

  validation {
    condition     = startswith(var.issuer, "https://")
    error_message = "Google takes https issuers only."
  }
}

variable "jwks_file" {
  description = "A file with the cluster's public keys: kubectl get --raw /openid/v1/jwks. Null if the issuer is public and Google fetches them itself."
  type        = string
  default     = "cluster-jwks.json"
}

variable "allowed_audiences" {
  description = "Audiences of tokens. Empty: the provider's own name, which is what the server asks for. If there is a list, the name must be in it: //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.allowed_audiences) == 0 || anytrue([for audience in var.allowed_audiences : startswith(audience, "//iam.googleapis.com/projects/")])
    error_message = "The provider's own name is missing: the server's tokens would be refused."
  }
}

variable "create_accounts" {
  description = "Ids of the Google service accounts to create, such as [\"app\"] for app@PROJECT.iam.gserviceaccount.com."
  type        = set(string)
  default     = []
}

variable "service_accounts" {
  description = "Which Google service account each Kubernetes ServiceAccount may impersonate, created here or not, such as { \"default/app\" = \"app@my-project.iam.gserviceaccount.com\" }."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name in keys(var.service_accounts) :
      can(regex("^[^/]+/[^/]+$", name)) && length("system:serviceaccount:${name}") <= 127
    ])
    error_message = "Each is NAMESPACE/NAME, and with system:serviceaccount: before it at most 127 bytes, Google's limit of a subject."
  }
}

variable "direct_access" {
  description = "Roles on the project of Kubernetes ServiceAccounts that have no Google service account, such as { \"default/direct\" = [\"roles/secretmanager.secretAccessor\"] }."
  type        = map(set(string))
  default     = {}

  validation {
    condition = alltrue([
      for name in keys(var.direct_access) :
      can(regex("^[^/]+/[^/]+$", name)) && length("system:serviceaccount:${name}") <= 127
    ])
    error_message = "Each is NAMESPACE/NAME, and with system:serviceaccount: before it at most 127 bytes, Google's limit of a subject."
  }
}

variable "id_tokens_by_account" {
  description = "Also let each Google service account ask for its own ID tokens, by roles/iam.serviceAccountOpenIdTokenCreator on itself."
  type        = bool
  default     = false
}
