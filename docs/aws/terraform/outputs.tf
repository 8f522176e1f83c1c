output "launch_template_name" {
  description = "LaunchTemplateName of the offerings."
  value       = aws_launch_template.worker.name
}

output "model_base" {
  description = "Cloud:Model:Uri is this and the model's file name."
  value       = local.allowed_source
}

output "host_security_group_id" {
  description = "The host is to be in this group, to reach the workers."
  value       = aws_security_group.host.id
}

output "host_instance_profile" {
  description = "What a host on EC2 is launched with, to have its credentials."
  value       = aws_iam_instance_profile.host.name
}

output "host_role_arn" {
  description = "The role of a host elsewhere."
  value       = aws_iam_role.host.arn
}

output "worker_security_group_id" {
  description = "The group of the workers."
  value       = aws_security_group.worker.id
}
