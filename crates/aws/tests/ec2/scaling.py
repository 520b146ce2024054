"""Auto Scaling, for model.py."""

from query import Service


class Scaling(Service):
    NAMED = {"ResourceName": "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:0:autoScalingGroupName/g{i}"}
    WORDS = {"LifecycleState": ("InService", "Pending")}


SERVICE = Scaling("autoscaling", "http://autoscaling.amazonaws.com/doc/2011-01-01/", "autoscaling")
