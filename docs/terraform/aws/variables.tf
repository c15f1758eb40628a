variable "issuer" {
  description = "The cluster's issuer, which must be public: kubectl get --raw /.well-known/openid-configuration"
  type        = string

  validation {
    condition     = can(regex("^https://[^/:?#]+(/[^?#]*)?$", var.issuer))
    error_message = "AWS takes https URLs with no port, query or fragment."
  }
}

variable "audiences" {
  description = "The aud of the tokens; of several, one for each annotation eks.amazonaws.com/audience in use."
  type        = set(string)
  default     = ["sts.amazonaws.com"]
}

variable "roles" {
  description = "Roles to create, the Kubernetes ServiceAccounts that may assume each, and the policies to attach, such as { app = { service_accounts = [\"default/app\"], policy_arns = [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"] } }."
  type = map(object({
    service_accounts = set(string)
    policy_arns      = optional(set(string), [])
  }))
  default = {}

  validation {
    condition = alltrue([
      for role in values(var.roles) : length(role.service_accounts) > 0 && alltrue([
        for name in role.service_accounts : can(regex("^[^/*?]+/[^/*?]+$", name))
      ])
    ])
    error_message = "Each role has at least one ServiceAccount, as NAMESPACE/NAME."
  }
}
