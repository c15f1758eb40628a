variable "cluster" {
  description = "The cluster's name, which begins the names of its federated credentials."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,29}$", var.cluster))
    error_message = "1 to 30 of letters, digits, - and _."
  }
}

variable "issuer" {
  description = "The cluster's issuer, which must be public, byte by byte as in the tokens: kubectl get --raw /.well-known/openid-configuration"
  type        = string

  validation {
    condition     = startswith(var.issuer, "https://")
    error_message = "Entra takes https issuers only."
  }
}

variable "audience" {
  description = "The aud of the tokens; in Azure China and Azure Government as their documentation says."
  type        = string
  default     = "api://AzureADTokenExchange"
}

variable "resource_group_name" {
  description = "The resource group of the managed identities."
  type        = string
}

variable "location" {
  description = "The region of the managed identities."
  type        = string
}

variable "identities" {
  description = "Managed identities to create, the Kubernetes ServiceAccounts that may use each, and its roles, such as { app = { service_accounts = [\"default/app\"], roles = [{ name = \"Key Vault Secrets User\", scope = \"/subscriptions/…\" }] } }."
  type = map(object({
    service_accounts = set(string)
    roles            = optional(set(object({ name = string, scope = string })), [])
  }))
  default = {}

  validation {
    condition     = alltrue([for identity in values(var.identities) : length(identity.service_accounts) <= 20])
    error_message = "Azure allows 20 federated credentials of one managed identity."
  }

  validation {
    condition = alltrue(flatten([
      for identity in values(var.identities) : [
        for name in identity.service_accounts : can(regex("^[^/]{1,63}/[^/]+$", name)) && length(name) <= 80
      ]
    ]))
    error_message = "Each is NAMESPACE/NAME, of at most 80 characters, so that the credential's name has at most 120."
  }
}
