# What a host of MArk.Serving needs on AWS, beside the Lambda function: docs/deploy-on-aws.md says what to do with it.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}

data "aws_s3_bucket" "artifacts" {
  bucket = var.bucket
}

# Amazon Linux 2023, which has the AWS CLI.
data "aws_ami" "worker" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023.*-x86_64"]
  }
}

locals {
  s3_endpoint_id = var.s3_endpoint_id != null ? var.s3_endpoint_id : aws_vpc_endpoint.s3[0].id
  allowed_source = "https://${data.aws_s3_bucket.artifacts.bucket}.s3.${var.region}.amazonaws.com/${var.model_prefix}"
}

# Workers fetch models by a plain GET over HTTPS, without a signature: S3 answers it to what comes through this endpoint, and to nobody else.
resource "aws_vpc_endpoint" "s3" {
  count             = var.s3_endpoint_id == null ? 1 : 0
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
}

resource "aws_s3_bucket_policy" "models" {
  bucket = data.aws_s3_bucket.artifacts.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadModelsFromTheNetwork"
      Effect    = "Allow"
      Principal = "*"
      Action    = "s3:GetObject"
      Resource  = "${data.aws_s3_bucket.artifacts.arn}/${var.model_prefix}*"
      Condition = { StringEquals = { "aws:SourceVpce" = local.s3_endpoint_id } }
    }]
  })
}

# The host reaches the workers' port, and nobody else does.
resource "aws_security_group" "host" {
  name_prefix = "mark-serving-host-"
  description = "The host of MArk.Serving. What reaches it is up to you."
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "host" {
  security_group_id = aws_security_group.host.id
  description       = "To workers and to AWS"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_security_group" "worker" {
  name_prefix = "mark-serving-worker-"
  description = "Workers of MArk.Serving"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "worker" {
  security_group_id            = aws_security_group.worker.id
  description                  = "From the host"
  ip_protocol                  = "tcp"
  from_port                    = var.worker_port
  to_port                      = var.worker_port
  referenced_security_group_id = aws_security_group.host.id
}

resource "aws_vpc_security_group_egress_rule" "worker" {
  security_group_id = aws_security_group.worker.id
  description       = "To S3, and to SSM where there is a key"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

data "aws_iam_policy_document" "ec2" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "worker" {
  name_prefix        = "mark-serving-worker-"
  assume_role_policy = data.aws_iam_policy_document.ec2.json
}

resource "aws_iam_role_policy" "worker" {
  name = "read"
  role = aws_iam_role.worker.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = [
          "${data.aws_s3_bucket.artifacts.arn}/${var.worker_object}",
          "${data.aws_s3_bucket.artifacts.arn}/${var.model_prefix}*",
        ]
      }],
      var.api_key_parameter == "" ? [] : [{
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = ["arn:aws:ssm:${var.region}:${data.aws_caller_identity.current.account_id}:parameter${var.api_key_parameter}"]
      }],
    )
  })
}

resource "aws_iam_instance_profile" "worker" {
  name_prefix = "mark-serving-worker-"
  role        = aws_iam_role.worker.name
}

# The host chooses the type, the subnet and the market of each launch, so they are not said here; nor are network interfaces, which a subnet of the launch would contradict.
resource "aws_launch_template" "worker" {
  name                   = "mark-serving-worker"
  update_default_version = true
  image_id               = data.aws_ami.worker.id
  vpc_security_group_ids = [aws_security_group.worker.id]

  user_data = base64encode(templatefile("${path.module}/user-data.sh.tftpl", {
    region            = var.region
    bucket            = data.aws_s3_bucket.artifacts.bucket
    worker_object     = var.worker_object
    worker_sha256     = var.worker_sha256
    worker_port       = var.worker_port
    allowed_source    = local.allowed_source
    api_key_parameter = var.api_key_parameter
  }))

  iam_instance_profile {
    arn = aws_iam_instance_profile.worker.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = var.volume_gib
      volume_type           = "gp3"
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }
}

# What the host may do, and nothing else: launch workers, look after them, end them, and call the function.
resource "aws_iam_role" "host" {
  name_prefix        = "mark-serving-host-"
  assume_role_policy = data.aws_iam_policy_document.ec2.json
}

resource "aws_iam_role_policy" "host" {
  name = "mark-serving"
  role = aws_iam_role.host.id
  policy = templatefile("${path.module}/../host-policy.json", {
    Region    = var.region
    AccountId = data.aws_caller_identity.current.account_id
    Role      = aws_iam_role.worker.name
    Owner     = var.owner
    Function  = var.function_name
  })
}

resource "aws_iam_instance_profile" "host" {
  name_prefix = "mark-serving-host-"
  role        = aws_iam_role.host.name
}
