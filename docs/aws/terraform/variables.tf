variable "region" {
  description = "The region of the network, the bucket and the machines."
  type        = string
  default     = "us-east-1"
}

variable "vpc_id" {
  description = "The network in which the host and its workers run."
  type        = string
}

variable "bucket" {
  description = "An existing bucket of this region, for models and the worker. It needs one of its own: its policy is replaced. No dots in its name, and encryption by SSE-S3, which is the default."
  type        = string
}

variable "model_prefix" {
  description = "Below it are the models; workers load nothing else. Ends with a slash."
  type        = string
  default     = "models/"
}

variable "worker_object" {
  description = "The published worker, a tar.gz."
  type        = string
  default     = "worker/worker.tar.gz"
}

variable "worker_sha256" {
  description = "The SHA-256 of the published worker: a machine installs nothing else."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.worker_sha256))
    error_message = "Accepted: 64 hexadecimal digits, as sha256sum writes them."
  }
}

variable "s3_endpoint_id" {
  description = "The network's gateway endpoint for S3, if it has one; one is created otherwise."
  type        = string
  default     = null
}

variable "route_table_ids" {
  description = "The route tables of the workers' subnets, for a gateway endpoint that is created."
  type        = list(string)
  default     = []
}

variable "api_key_parameter" {
  description = "The name of an SSM parameter (SecureString) with the key that workers ask for, beginning with a slash; none by default."
  type        = string
  default     = ""
}

variable "owner" {
  description = "Owner of the host's settings: it may launch, stop and end only machines with this tag."
  type        = string
  default     = "production"
}

variable "function_name" {
  description = "The Lambda function that bursts are spilled to."
  type        = string
  default     = "mark-serving-digits"
}

variable "worker_port" {
  description = "The port that workers listen on, as WorkerPort of the host's settings."
  type        = number
  default     = 8000
}

variable "volume_gib" {
  description = "The disk of a worker: the system, the worker, and the models that it has had."
  type        = number
  default     = 20
}
