variable "project_id" {
  description = "The Google project of the service accounts."
  type        = string
}

variable "project_number" {
  description = "The number of the Google project of the pool."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "Set the number of the project, not its ID: gcloud projects describe PROJECT --format='value(projectNumber)'."
  }
}

variable "pool_id" {
  description = "The workload identity pool of the cluster."
  type        = string
}

variable "roles" {
  description = "Roles to create, with a Google service account of the same name each; the Kubernetes ServiceAccounts that may assume each, and the policies to attach, such as { app-reader = { service_accounts = [\"team/app\"], policy_arns = [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"] } }."
  type = map(object({
    service_accounts = set(string)
    policy_arns      = optional(set(string), [])
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.roles) : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", name))])
    error_message = "Google allows 6 to 30 lower case letters, digits and hyphens in the name of a service account."
  }

  validation {
    condition = alltrue([
      for role in values(var.roles) : length(role.service_accounts) > 0 && alltrue([
        for name in role.service_accounts : can(regex("^[^/*?]+/[^/*?]+$", name))
      ])
    ])
    error_message = "Each role has at least one ServiceAccount, as NAMESPACE/NAME."
  }
}
